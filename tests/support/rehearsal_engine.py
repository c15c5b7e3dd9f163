"""A rehearsal engine on a real port, in this process, and a client that speaks ComfyUI's protocol to it."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from services.worker.rehearsal.server.app import create_app
from services.worker.rehearsal.settings import RehearsalSettings

LIMIT_SECONDS = 120
Graph = dict[str, dict[str, Any]]
Message = dict[str, Any] | bytes


@contextlib.asynccontextmanager
async def engine(root: Path, **settings: Any) -> AsyncIterator[str]:
    """Start an engine with its data under `root`; yields its address. Without other settings nothing takes time."""
    quick: dict[str, Any] = {"step_seconds": 0.0, "load_seconds": 0.0, "fault_nodes": True}
    runner = web.AppRunner(create_app(RehearsalSettings(data_dir=root, **(quick | settings))), shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Client:
    """HTTP requests and one WebSocket."""

    def __init__(self, base: str, *, modern: bool = True, client_id: str | None = None) -> None:
        self._base = base
        self._modern = modern
        self.client_id = client_id or uuid.uuid4().hex

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(self._base)
        self.socket = await self.http.ws_connect(f"/ws?clientId={self.client_id}")
        if self._modern:
            await self.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            await self.hear_until("feature_flags")
        else:
            await self.hear_until("status")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.close()

    async def get(self, path: str, **query: Any) -> Any:
        """A GET that must succeed, its JSON."""
        async with self.http.get(path, params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """A POST: status and JSON (or text)."""
        async with self.http.post(path, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def submit(self, graph: Graph, **more: Any) -> str:
        """Queue a graph; its id."""
        status, answer = await self.post("/prompt", {"prompt": graph, "client_id": self.client_id} | more)
        assert status == 200, answer
        prompt_id: str = answer["prompt_id"]
        return prompt_id

    async def hear(self) -> Message:
        """The next message: JSON, or the bytes of a binary one."""
        async with asyncio.timeout(LIMIT_SECONDS):
            message = await self.socket.receive()
        if message.type == aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        assert message.type == aiohttp.WSMsgType.TEXT, message
        told: dict[str, Any] = json.loads(message.data)
        return told

    async def hear_until(self, kind: str, prompt_id: str | None = None) -> list[Message]:
        """All messages up to the first of a type (of a prompt)."""
        heard: list[Message] = []
        while True:
            message = await self.hear()
            heard.append(message)
            if isinstance(message, bytes) or message["type"] != kind:
                continue
            if prompt_id is None or message["data"].get("prompt_id") == prompt_id:
                return heard

    async def hear_all(self, prompt_id: str) -> list[Message]:
        """All messages up to a prompt's last one."""
        heard: list[Message] = []
        while True:
            message = await self.hear()
            heard.append(message)
            if isinstance(message, bytes) or message["type"] != "executing":
                continue
            if message["data"]["node"] is None and message["data"]["prompt_id"] == prompt_id:
                return heard

    async def run(self, graph: Graph, **more: Any) -> list[Message]:
        """Queue a graph and hear it to its end."""
        return await self.hear_all(await self.submit(graph, **more))


def kinds(messages: list[Message]) -> list[str]:
    """The types of messages, binary ones as "binary 4"."""
    return [f"binary {m[3]}" if isinstance(m, bytes) else m["type"] for m in messages]


def of_kind(messages: list[Message], kind: str) -> list[dict[str, Any]]:
    """The data of all messages of a type."""
    return [m["data"] for m in messages if isinstance(m, dict) and m["type"] == kind]


def picture_graph(colour: int = 0x336699, prefix: str = "test") -> Graph:
    """A small graph that really runs: make, invert, scale, save."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 4, "batch_size": 1, "color": colour}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
    }


def slow_graph(seconds: float = 3600.0, **more: Any) -> Graph:
    """A prompt of one node that takes its time."""
    return {"1": {"class_type": "RehearsalSlow", "inputs": {"seconds": seconds, "steps": 2} | more}}


async def wait_for_start(client: "Client") -> str:
    """Start a prompt that runs for an hour; its id once it runs."""
    prompt_id = await client.submit(slow_graph())
    await client.hear_until("executing", prompt_id)
    return prompt_id
