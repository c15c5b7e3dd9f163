"""A ComfyUI that does what its script says: lies, hangs, breaks off, answers late.

For what a working engine cannot be made to do. It speaks over real HTTP and a real websocket; the engine that behaves
is `services.worker.rehearsal`.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler

CATALOGUE: dict[str, Any] = {
    "LoadImage": {
        "input": {"required": {"image": [["example.png"], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
        "output_node": False,
    },
    "CheckpointLoaderSimple": {
        "input": {"required": {"ckpt_name": [["big.safetensors"], {}]}},
        "output": ["MODEL", "CLIP", "VAE"],
        "output_node": False,
    },
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}},
        "output": [],
        "output_node": True,
    },
    "PreviewImage": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True},
}


@dataclass
class Run:
    """One prompt while its script runs."""

    stub: "ComfyUIStub"
    id: str
    graph: dict[str, Any]
    client_id: str
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[list[Any]] = field(default_factory=list)

    async def send(self, kind: str, **data: Any) -> None:
        """Send a message of this prompt to the client that submitted it."""
        data = {"prompt_id": self.id, **data}
        if kind.startswith("execution_"):
            self.messages.append([kind, data])
        await self.stub.send(self.client_id, kind, data)

    async def end(self, status: str = "success", outputs: dict[str, Any] | None = None) -> None:
        """Write the history entry and say that nothing runs any more."""
        self.stub.running.pop(self.id, None)
        self.stub.history[self.id] = {
            "prompt": [0, self.id, self.graph, {}, []],
            "outputs": outputs or {},
            "status": {"status_str": status, "completed": status == "success", "messages": self.messages},
        }
        await self.send("executing", node=None)


Script = Callable[[Run], Awaitable[None]]


async def succeed(run: Run) -> None:
    """Save one small file for each output node with a prefix and end well."""
    await run.send("execution_start")
    await run.send("execution_cached", nodes=[])
    outputs: dict[str, Any] = {}
    for node_id, node in run.graph.items():
        prefix = node["inputs"].get("filename_prefix")
        if prefix is not None:
            outputs[node_id] = {"images": [run.stub.save(prefix, f"picture of {run.id}".encode())]}
            await run.send("executing", node=node_id)
            await run.send("executed", node=node_id, output=outputs[node_id])
    await run.send("execution_success")
    await run.end("success", outputs)


class ComfyUIStub:
    """`async with ComfyUIStub() as stub` listens on a free port; `stub.script` says what each prompt does."""

    def __init__(self) -> None:
        self.script: Script = succeed
        self.version = "0.33.0"
        self.devices: list[dict[str, Any]] = [{"name": "cpu", "type": "cpu"}]
        self.models: dict[str, dict[str, int]] = {"checkpoints": {"big.safetensors": 20 << 30}}
        self.token = ""
        """Demanded as a bearer token of every request and handshake, unless it is empty."""
        self.rejection: dict[str, Any] | None = None
        self.prompts: list[dict[str, Any]] = []
        self.running: dict[str, Run] = {}
        self.pending: dict[str, str] = {}
        self.history: dict[str, Any] = {}
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.first_messages: list[dict[str, Any]] = []
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.calls: list[tuple[str, Any]] = []
        self.on_free: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=100 << 20, middlewares=[self._demand_token])
        app.add_routes(
            [
                web.get("/ws", self._ws),
                web.get("/system_stats", self._stats),
                web.get("/object_info", self._object_info),
                web.get("/models", self._model_folders),
                web.get("/models/{folder}", self._model_files),
                web.get("/experiment/models/{folder}", self._model_sizes),
                web.post("/prompt", self._prompt),
                web.get("/queue", self._queue),
                web.post("/queue", self._change_queue),
                web.get("/history/{id}", self._history),
                web.post("/history", self._change_history),
                web.post("/interrupt", self._interrupt),
                web.post("/free", self._free),
                web.post("/upload/image", self._upload),
                web.get("/view", self._view),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.drop_sockets()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _demand_token(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        return await handler(request)

    def save(self, prefix: str, content: bytes) -> dict[str, str]:
        """Put a file below the output folder, as a saving node would; returns its entry in the UI output."""
        subfolder, _, stem = prefix.rpartition("/")
        filename = f"{stem}_00001_.png"
        self.files["output", subfolder, filename] = content
        return {"filename": filename, "subfolder": subfolder, "type": "output"}

    async def send(self, client_id: str, kind: str, data: dict[str, Any]) -> None:
        """Send to one client; gone when it is not connected."""
        if (socket := self.sockets.get(client_id)) is not None:
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": kind, "data": data})

    async def send_frame(self, client_id: str, frame: bytes) -> None:
        """Send a binary frame to one client."""
        if (socket := self.sockets.get(client_id)) is not None:
            await socket.send_bytes(frame)

    async def drop_sockets(self) -> None:
        """Close every websocket, as a broken network would."""
        for socket in list(self.sockets.values()):
            await socket.close()

    def called(self, what: str) -> list[Any]:
        """The bodies of all calls of one kind: interrupt, delete, free, forget, upload."""
        return [body for name, body in self.calls if name == what]

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId", "")
        self.sockets[client_id] = socket
        await socket.send_json({"type": "status", "data": {"status": {}, "sid": client_id}})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.first_messages.append(message.json())
        if self.sockets.get(client_id) is socket:
            del self.sockets[client_id]
        return socket

    async def _stats(self, _request: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": self.version}, "devices": self.devices})

    async def _object_info(self, _request: web.Request) -> web.Response:
        return web.json_response(CATALOGUE)

    async def _model_folders(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self.models))

    async def _model_files(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.models[request.match_info["folder"]]))

    async def _model_sizes(self, request: web.Request) -> web.Response:
        files = self.models[request.match_info["folder"]]
        return web.json_response([{"name": name, "size": size} for name, size in files.items()])

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.prompts.append(body)
        if self.rejection is not None:
            return web.json_response(self.rejection, status=400)
        run = Run(self, body["prompt_id"], body["prompt"], body["client_id"])
        self.running[run.id] = run
        task = asyncio.create_task(self._play(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.json_response({"prompt_id": run.id, "number": 1, "node_errors": {}})

    async def _play(self, run: Run) -> None:
        await self.script(run)

    async def _queue(self, _request: web.Request) -> web.Response:
        def item(prompt_id: str, client_id: str) -> list[Any]:
            return [0, prompt_id, {}, {"client_id": client_id}, []]

        running = [item(run.id, run.client_id) for run in self.running.values()]
        pending = [item(prompt_id, client_id) for prompt_id, client_id in self.pending.items()]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def _change_queue(self, request: web.Request) -> web.Response:
        for prompt_id in (await request.json()).get("delete", []):
            self.calls.append(("delete", prompt_id))
            self.pending.pop(prompt_id, None)
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def _change_history(self, request: web.Request) -> web.Response:
        for prompt_id in (await request.json()).get("delete", []):
            self.calls.append(("forget", prompt_id))
            self.history.pop(prompt_id, None)
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        prompt_id = (await request.json()).get("prompt_id")
        self.calls.append(("interrupt", prompt_id))
        if (run := self.running.get(prompt_id)) is not None:
            run.interrupted.set()
        return web.Response()

    async def _free(self, request: web.Request) -> web.Response:
        self.calls.append(("free", await request.json()))
        self.on_free()
        return web.Response()

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image, subfolder = form["image"], str(form.get("subfolder", ""))
        assert isinstance(image, web.FileField)
        content = image.file.read()
        self.files["input", subfolder, image.filename] = content
        self.calls.append(("upload", hashlib.sha256(content).hexdigest()))
        return web.json_response({"name": image.filename, "subfolder": subfolder, "type": "input"})

    async def _view(self, request: web.Request) -> web.Response:
        query = request.query
        key = (query.get("type", "output"), query.get("subfolder", ""), query["filename"])
        content = self.files.get(key)
        return web.Response(status=404) if content is None else web.Response(body=content)


async def end_when_interrupted(run: Run) -> None:
    """Work until somebody interrupts, then end as ComfyUI does."""
    await run.send("execution_start")
    await run.interrupted.wait()
    await run.send("execution_interrupted", node_id="1", node_type="SaveImage", executed=[])
    await run.end("error")


async def hang(run: Run) -> None:
    """Begin, then neither end nor listen."""
    await run.send("execution_start")
    await asyncio.Event().wait()
