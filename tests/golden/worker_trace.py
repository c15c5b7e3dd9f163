"""What passes between our worker and a ComfyUI: kept by a proxy in front of the real one, played back without it.

A trace holds what cannot be made up: ComfyUI's answers to prompts, its messages in their order, its history entries and
its files. Everything a worker may ask at any time (queue, history so far) follows from how far the messages have been
played, so that a slow worker hears the same as a fast one.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType, web

from tests.golden.normalise import TIMES

CLIENT_ID = re.compile(r"(comfyume-[a-z0-9-]+?-)[0-9a-f]{32}")
HOST_FOLDERS = re.compile(r"/(?:[\w.+-]+/)+([\w.-]+)")
LAST_WORDS = {"execution_success", "execution_error", "execution_interrupted"}
UPLOADED_NAME = re.compile(rb'name="image"; filename="([^"]+)"')
A_TIME = 1_700_000_000_000


@dataclass
class Trace:
    """One session of a worker with a ComfyUI."""

    prompts: list[dict[str, Any]] = field(default_factory=list)
    """Each POST /prompt: body sent, status, answer."""
    heard: list[dict[str, Any]] = field(default_factory=list)
    """Each message: which job socket (0, 1, ...), how many prompts and interrupts came before it, and itself."""
    history: dict[str, Any] = field(default_factory=dict)
    """Prompt id -> its entry."""
    uploads: list[str] = field(default_factory=list)
    """The names of the files that the worker put into ComfyUI's input folder."""
    views: dict[str, list[str | None]] = field(default_factory=dict)
    """"/view?...": for each time it was asked for, the name of the file in `contents`; None where it was not there."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """Files by the beginning of their SHA-256."""

    def save(self, folder: Path) -> None:
        """Write `trace.json`, one message a line, and the files beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        parts = {name: _lines(value) for name, value in vars(self).items() if name != "contents"}
        text = ",\n".join(f'"{name}": {lines}' for name, lines in parts.items())
        (folder / "trace.json").write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
        for name, content in self.contents.items():
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        contents = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".json"}
        return cls(**json.loads((folder / "trace.json").read_text(encoding="utf-8")), contents=contents)

    def keep_view(self, path: str, content: bytes | None) -> None:
        """Add one answer to a question for a file."""
        name = None
        if content is not None:
            name = f"{hashlib.sha256(content).hexdigest()[:16]}.png"
            self.contents[name] = content
        self.views.setdefault(path, []).append(name)


def _lines(value: Any) -> str:
    entries = list(value.items()) if isinstance(value, dict) else value
    one = "{%s}" if isinstance(value, dict) else "[%s]"
    texts = [
        f"{json.dumps(entry[0])}: {json.dumps(entry[1], sort_keys=True)}"
        if isinstance(value, dict)
        else json.dumps(entry, sort_keys=True)
        for entry in entries
    ]
    return one % ("\n" + ",\n".join(texts) + "\n")


def without_host(value: Any, key: str = "") -> Any:
    """Times, client ids and the recording machine's folders replaced by others of the same form."""
    if isinstance(value, dict):
        return {name: without_host(entry, name) for name, entry in value.items()}
    if key == "traceback" and value:
        return ['  File "/srv/comfyui/app/nodes.py", line 1, in work\n']
    if isinstance(value, list):
        return [without_host(entry, key) for entry in value]
    if key in TIMES and isinstance(value, int):
        return A_TIME
    if isinstance(value, str):
        text = CLIENT_ID.sub(r"\1<client>", value)
        return HOST_FOLDERS.sub(r"/srv/comfyui/app/\1", text) if key == "exception_message" else text
    return value


class Server:
    """An aiohttp server on a free port for as long as its `async with` block."""

    def __init__(self) -> None:
        self.url = ""
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        """What it answers."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=100 << 20)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


class RecordingProxy(Server):
    """Passes everything on to a real ComfyUI and keeps a trace."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.trace = Trace()
        self._target = target
        self._acts = 0
        self._sockets = 0

    def routes(self) -> list[web.RouteDef]:
        """The websocket, and everything else as it comes."""
        return [web.get("/ws", self._ws), web.route("*", "/{path:.*}", self._http)]

    async def _http(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        path = request.path_qs
        if request.method == "POST" and request.path in ("/prompt", "/interrupt"):
            self._acts += 1
        headers = {name: value for name, value in request.headers.items() if name in ("Content-Type", "Range")}
        async with (
            aiohttp.ClientSession(self._target, auto_decompress=False) as session,
            session.request(request.method, path, data=body or None, headers=headers) as answer,
        ):
            content = await answer.read()
            self._keep(request, body, answer.status, content)
            kept = {name: value for name, value in answer.headers.items() if name in ("Content-Type", "Content-Length")}
            if request.method != "HEAD":
                return web.Response(status=answer.status, body=content, headers=kept)
            return web.Response(status=answer.status, headers=kept)

    def _keep(self, request: web.Request, body: bytes, status: int, content: bytes) -> None:
        if request.method == "POST" and request.path == "/prompt":
            prompt = {"send": json.loads(body), "status": status, "body": json.loads(content)}
            self.trace.prompts.append(without_host(prompt))
        if request.path.startswith("/history/"):
            self.trace.history |= without_host(json.loads(content))
        if request.path == "/view" and request.method == "GET":
            self.trace.keep_view(request.path_qs, content if status == 200 else None)
        if request.path == "/upload/image":
            found = UPLOADED_NAME.search(body)
            self.trace.uploads.append(found[1].decode() if found else "")

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        ours = web.WebSocketResponse(max_msg_size=0)
        await ours.prepare(request)
        number: int | None = None
        if "probe" not in request.query.get("clientId", ""):
            number, self._sockets = self._sockets, self._sockets + 1
        async with (
            aiohttp.ClientSession(self._target) as session,
            session.ws_connect(request.path_qs, max_msg_size=0) as theirs,
        ):
            back = asyncio.create_task(self._pass_back(theirs, ours, number))
            async for message in ours:
                if message.type is WSMsgType.TEXT:
                    await theirs.send_str(message.data)
            back.cancel()
        return ours

    async def _pass_back(
        self, theirs: aiohttp.ClientWebSocketResponse, ours: web.WebSocketResponse, number: int | None
    ) -> None:
        async for message in theirs:
            entry: dict[str, Any] = {"socket": number, "after": self._acts}
            if message.type is WSMsgType.TEXT:
                entry["text"] = without_host(json.loads(message.data))
                sending = ours.send_str(message.data)
            else:
                entry["frame"] = base64.b64encode(message.data).decode()
                sending = ours.send_bytes(message.data)
            if number is not None:
                self.trace.heard.append(entry)
            await sending


class Replay(Server):
    """Answers a worker as the recorded ComfyUI did."""

    def __init__(self, trace: Trace, catalogue: dict[str, Any]) -> None:
        super().__init__()
        self.prompts: list[dict[str, Any]] = []
        """The bodies of POST /prompt as the worker sends them now."""
        self.unexpected: list[str] = []
        """What was asked for that the recording does not have."""
        self._trace = trace
        self._catalogue = catalogue
        self._acts = 0
        self._ended: set[str] = set()
        self.uploads: list[str] = []
        """The names of the files that the worker uploads now."""
        self._inputs: dict[str, int] = {}
        self._asked: dict[str, int] = defaultdict(int)
        self._opened = 0
        self._moved = asyncio.Condition()

    def routes(self) -> list[web.RouteDef]:
        """The routes of ComfyUI that a worker uses."""
        return [
            web.get("/ws", self._ws),
            web.get("/system_stats", self._stats),
            web.get("/object_info", self._object_info),
            web.get("/models", self._models),
            web.post("/prompt", self._prompt),
            web.get("/queue", self._queue),
            web.get("/history/{id}", self._history),
            web.post("/interrupt", self._interrupt),
            web.get("/view", self._view),
            web.post("/upload/image", self._upload),
            web.post("/{name:queue|history|free}", self._ok),
        ]

    async def _act(self) -> None:
        async with self._moved:
            self._acts += 1
            self._moved.notify_all()

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId", "")
        if "probe" in client_id:
            await socket.send_json({"type": "status", "data": {"status": {}, "sid": client_id}})
        else:
            number, self._opened = self._opened, self._opened + 1
            playing = asyncio.create_task(self._play(socket, number, client_id))
        async for _ in socket:
            pass
        if "probe" not in client_id:
            playing.cancel()
        return socket

    async def _play(self, socket: web.WebSocketResponse, number: int, client_id: str) -> None:
        """Send this socket's messages, each once the prompts and interrupts before it have come."""
        for entry in self._trace.heard:
            if entry["socket"] != number:
                continue
            async with self._moved:
                await self._moved.wait_for(lambda after=entry["after"]: self._acts >= after)  # type: ignore[misc]
            if "frame" in entry:
                await socket.send_bytes(base64.b64decode(entry["frame"]))
                continue
            message = entry["text"]
            await socket.send_str(json.dumps(message).replace("<client>", client_id[-32:]))
            if message["type"] in LAST_WORDS:  # only now: whoever asks first must not find the end before it was told
                self._ended.add(message["data"]["prompt_id"])

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": "0.33.0"}, "devices": [{"name": "cpu", "type": "cpu"}]})

    async def _object_info(self, _: web.Request) -> web.Response:
        return web.json_response(self._catalogue)

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def _prompt(self, request: web.Request) -> web.Response:
        self.prompts.append(without_host(await request.json()))
        if len(self.prompts) > len(self._trace.prompts):
            return self._unknown(request)
        recorded = self._trace.prompts[len(self.prompts) - 1]
        await self._act()
        return web.json_response(recorded["body"], status=recorded["status"])

    async def _queue(self, _: web.Request) -> web.Response:
        sent = [prompt["prompt_id"] for prompt in self.prompts if prompt["prompt_id"] in self._trace.history]
        running = [[0, job, {}, {}, []] for job in sent if job not in self._ended]
        return web.json_response({"queue_running": running, "queue_pending": []})

    async def _history(self, request: web.Request) -> web.Response:
        job = request.match_info["id"]
        return web.json_response({job: self._trace.history[job]} if job in self._ended else {})

    async def _interrupt(self, _: web.Request) -> web.Response:
        await self._act()
        return web.Response()

    async def _view(self, request: web.Request) -> web.Response:
        """Inputs are there once uploaded. The n-th question for an output gets the n-th answer, later ones the last."""
        if request.query.get("type") == "input":
            size = self._inputs.get(f"{request.query['subfolder']}/{request.query['filename']}")
            return web.Response(status=404) if size is None else web.Response(body=bytes(size))
        answers = self._trace.views.get(request.path_qs)
        if answers is None:
            return self._unknown(request)
        name = answers[min(self._asked[request.path_qs], len(answers) - 1)]
        self._asked[request.path_qs] += 1
        return web.Response(status=404) if name is None else web.Response(body=self._trace.contents[name])

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        self.uploads.append(image.filename)
        self._inputs[f"{form.get('subfolder', '')}/{image.filename}"] = len(image.file.read())
        return web.json_response({"name": image.filename, "subfolder": form.get("subfolder", ""), "type": "input"})

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response()

    def _unknown(self, request: web.Request) -> web.Response:
        self.unexpected.append(f"{request.method} {request.path_qs}")
        return web.Response(status=404)
