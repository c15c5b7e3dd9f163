"""Drives one ComfyUI (real or rehearsed) through a scenario and keeps what it answers.

Knows HTTP, WebSocket and ComfyUI's binary frames. Which requests are sent is the scenarios' business, what may differ
between two runs that of `normalise`.
"""

import asyncio
import hashlib
import io
import json
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from PIL import Image

from tests.golden.normalise import Normaliser, shape

PATIENCE = 120.0
"""Seconds to wait for a message before the scenario fails; long, because a loaded machine is slow."""

KEPT_HEADERS = ("Content-Disposition", "X-Content-Type-Options", "Vary", "Cache-Control", "Content-Range", "Allow")

Graph = dict[str, dict[str, Any]]
Message = dict[str, Any]


@dataclass
class Recording:
    """What one scenario heard, step by step, and the pictures among it."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[Image.Image] = field(default_factory=list)

    def keep_picture(self, content: bytes) -> dict[str, Any]:
        """Put a picture aside and return what stands for it in the step."""
        with Image.open(io.BytesIO(content)) as picture:
            about: dict[str, Any] = {"format": picture.format, "mode": picture.mode, "size": list(picture.size)}
            texts = {key: _parsed(text) for key, text in getattr(picture, "text", {}).items()}
            if texts:
                about["text"] = texts
            if picture.format in ("PNG", "MPO"):
                about["picture"] = len(self.pictures)
                self.pictures.append(picture.copy())
        return about


class Viewer:
    """One WebSocket; collects what arrives until the scenario asks for it."""

    def __init__(self, name: str, socket: aiohttp.ClientWebSocketResponse, session: "Session") -> None:
        self._name = name
        self._socket = socket
        self._session = session

    async def until(self, wanted: str | Callable[[Message], bool], job: str | None = None) -> None:
        """Record all messages up to the first that fits: a type, or whatever `wanted` says yes to."""
        fits = _is_a(wanted, job) if isinstance(wanted, str) else wanted
        self._session.record({"ws": self._name, "heard": await self._hear(fits)})

    async def until_over(self, job: str) -> None:
        """Record up to the last message of a prompt: `executing` without a node."""
        await self.until(lambda message: _is_last(message, job))

    async def drop_until_over(self, job: str) -> None:
        """The same without recording, where only the taking of a prompt matters."""
        await self._hear(lambda message: _is_last(message, job))

    async def _hear(self, fits: Callable[[Message], bool]) -> list[Message]:
        heard: list[Message] = []
        async with asyncio.timeout(PATIENCE):
            while not heard or not fits(heard[-1]):
                heard.append(self._read(await self._socket.receive()))
        return heard

    async def send(self, message: Message | str) -> None:
        """Send one message to the server."""
        await self._socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def close(self) -> None:
        """Close the socket from this side."""
        await self._socket.close()

    def _read(self, message: aiohttp.WSMessage) -> Message:
        if message.type == aiohttp.WSMsgType.TEXT:
            parsed: Message = json.loads(message.data)
            return parsed
        if message.type == aiohttp.WSMsgType.BINARY:
            return read_frame(message.data)
        raise ConnectionError(f"The server ended the WebSocket: {message.type.name}")


def _is_a(kind: str, job: str | None) -> Callable[[Message], bool]:
    return lambda message: message["type"] == kind and job in (None, message["data"].get("prompt_id"))


def _is_last(message: Message, job: str) -> bool:
    return message == {"type": "executing", "data": {"node": None, "prompt_id": job}}


def read_frame(frame: bytes) -> Message:
    """A binary frame as a message; flat preview pictures are told by their size and their middle pixel."""
    (kind,) = struct.unpack(">I", frame[:4])
    if kind == 1:
        (image_type,) = struct.unpack(">I", frame[4:8])
        return {"type": "binary 1", "data": {"image_type": image_type, "image": _flat(frame[8:])}}
    (length,) = struct.unpack(">I", frame[4:8])
    head, rest = frame[8 : 8 + length], frame[8 + length :]
    if kind == 3:
        return {"type": "binary 3", "data": {"node": head.decode(), "text": rest.decode()}}
    return {"type": f"binary {kind}", "data": {"about": json.loads(head), "image": _flat(rest)}}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(content: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(content)) as picture:
        middle = picture.getpixel((picture.width // 2, picture.height // 2))
        return {"format": picture.format, "size": list(picture.size), "middle": middle}


class Session:
    """A scenario's connection to one server: sends, records, and names its own ids."""

    def __init__(self, base: str, name: str) -> None:
        self.name = name
        self.recording = Recording()
        self.jobs = {f"job {n}": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{n}")) for n in range(1, 10)}
        self.client_id = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        self._normalise = Normaliser({value: f"<{key}>" for key, value in self.jobs.items()})
        self._http = aiohttp.ClientSession(base, timeout=aiohttp.ClientTimeout(total=PATIENCE))
        self._sockets: list[Viewer] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for viewer in self._sockets:
            await viewer.close()
        await self._http.close()

    def job(self, number: int = 1) -> str:
        """The id of the scenario's n-th prompt, the same in every run."""
        return self.jobs[f"job {number}"]

    def record(self, step: dict[str, Any]) -> None:
        """Keep a step, without what changes from run to run."""
        normal: dict[str, Any] = self._normalise(json.loads(json.dumps(step)))
        self.recording.steps.append(normal)

    async def viewer(self, name: str = "viewer", *, client_id: str | None = "", flags: bool = True) -> Viewer:
        """Open a WebSocket, as the UI does, and record the greeting. `client_id=None` leaves the id to the server."""
        query = "" if client_id is None else f"?clientId={client_id or self.client_id}"
        viewer = Viewer(name, await self._http.ws_connect(f"/ws{query}", max_msg_size=0), self)
        self._sockets.append(viewer)
        await viewer.until("status")
        if flags:
            await viewer.send({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            await viewer.until("feature_flags")
        return viewer

    async def prompt(self, graph: Graph, job: int = 1, **more: Any) -> None:
        """POST /prompt with the scenario's client id. Raises AssertionError when it is refused."""
        body = {"prompt": graph, "prompt_id": self.job(job), "client_id": self.client_id, **more}
        answer = await self.post("/prompt", body)
        assert "prompt_id" in answer, f"refused: {answer}"

    async def post(self, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
        """POST JSON (or raw bytes) and record the answer."""
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        headers = {"Content-Type": "application/json"} if data is not None else {}
        async with self._http.post(path, data=data, headers=headers) as answer:
            step = {"do": f"POST {path}"} | ({} if body is None else {"send": body})
            return await self._answer(step, answer)

    async def get(self, path: str, *, headers: dict[str, str] | None = None, only_shape: bool = False) -> Any:
        """GET and record the answer; `only_shape` keeps the kinds of the values."""
        async with self._http.get(path, headers=headers) as answer:
            step = {"do": f"GET {path}"} | ({"headers": headers} if headers else {})
            return await self._answer(step, answer, only_shape=only_shape)

    async def look(self, path: str) -> Any:
        """GET without recording."""
        async with self._http.get(path) as answer:
            return await answer.json()

    async def upload(
        self, name: str, content: bytes, *, to: str = "/upload/image", field_name: str = "image", **fields: str
    ) -> Any:
        """Upload a file in ComfyUI's multipart form and record the answer."""
        form = aiohttp.FormData(fields)
        form.add_field(field_name, content, filename=name, content_type="application/octet-stream")
        async with self._http.post(to, data=form) as answer:
            return await self._answer({"do": f"POST {to}", "file": name, "fields": fields}, answer)

    async def _answer(self, step: dict[str, Any], answer: aiohttp.ClientResponse, *, only_shape: bool = False) -> Any:
        content = await answer.read()
        kind = answer.content_type
        step |= {"status": answer.status, "type": kind}
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        if headers:
            step["answer_headers"] = headers
        body: Any = None
        if kind == "application/json" and "/view?" not in step["do"]:
            body = json.loads(content)
            step["body"] = shape(body) if only_shape else body
        elif kind.startswith("image/") and answer.status == 200 and "svg" not in kind:
            step["body"] = self.recording.keep_picture(content)
        elif answer.status < 400:
            step["body"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()[:16]}
        self.record(step)
        return body


def save(recording: Recording, folder: Path, name: str) -> None:
    """Write `<name>.json`, one step a line, and the pictures beside it."""
    lines = ",\n".join(json.dumps(step, sort_keys=True, ensure_ascii=False) for step in recording.steps)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}-*.png"):
        old.unlink()
    (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    for number, picture in enumerate(recording.pictures):
        picture.save(folder / f"{name}-{number}.png", optimize=True)


def load(folder: Path, name: str) -> Recording:
    """Read what `save` wrote."""
    steps = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    count = sum("picture" in step["body"] for step in steps if isinstance(step.get("body"), dict))
    pictures = []
    for number in range(count):
        with Image.open(folder / f"{name}-{number}.png") as picture:
            pictures.append(picture.copy())
    return Recording(steps, pictures)
