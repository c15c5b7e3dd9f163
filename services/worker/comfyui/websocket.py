"""ComfyUI's websocket: keeps one connection for a private client id and hands on what arrives.

A lost connection is opened again with the same id, because ComfyUI sends a prompt's messages to that id only.
Messages that were sent meanwhile are gone (ComfyUI stores none), so a reconnect is announced and the caller looks at
/history and /queue.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

_FEATURE_FLAGS = msgspec.json.encode({"type": "feature_flags", "data": {"supports_preview_metadata": True}}).decode()
_MAX_MESSAGE = 256 << 20
"""Bytes; previews of large videos are some megabytes, `executed` of a node with inline data may be more."""
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class TextMessage:
    """One JSON message: `{"type": ..., "data": {...}}`."""

    type: str
    data: dict[str, Any]


@dataclass(frozen=True)
class BinaryMessage:
    """One binary frame as it came: previews and progress texts."""

    frame: bytes


@dataclass(frozen=True)
class Reconnected:
    """The connection was lost and is there again; something may have been missed."""


SocketItem = TextMessage | BinaryMessage | Reconnected


class _Connect(connect):
    """Follows no redirect: a token must not travel to an address that nobody has set."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take every answer but 101 for a refusal."""
        return exc


class ComfyUISocket:
    """A websocket that stays open: `async with ComfyUISocket(url, id, sink): ...` feeds `sink` until it is left."""

    def __init__(
        self,
        base_url: str,
        client_id: str,
        sink: Callable[[SocketItem], Awaitable[None]],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` are sent with each handshake."""
        scheme, _, rest = base_url.partition("://")
        self._url = f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}/ws?clientId={client_id}"
        self._sink = sink
        self._headers = dict(headers or {})
        self._task: asyncio.Task[None] | None = None
        self._connection: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        """Connect once; raises OSError or WebSocketException when ComfyUI does not take the connection."""
        connection = await self._open()
        self._task = asyncio.create_task(self._keep_reading(connection))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def renew(self) -> None:
        """Close the connection, so that it is opened again: ComfyUI forgets a client whose older socket dies late."""
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> ClientConnection:
        connection = await _Connect(
            self._url,
            additional_headers=self._headers,
            max_size=_MAX_MESSAGE,
            open_timeout=_CONNECT_SECONDS,
            ping_timeout=60.0,  # a node that holds Python's lock keeps ComfyUI from answering for a while
            compression=None,
            proxy=None,
        )
        await connection.send(_FEATURE_FLAGS)  # has to be the first message, else ComfyUI ignores it
        return connection

    async def _keep_reading(self, connection: ClientConnection) -> None:
        while True:
            self._connection = connection
            try:
                await self._read(connection)
            finally:
                with contextlib.suppress(Exception):
                    await connection.close()
            connection = await self._open_again()
            await self._sink(Reconnected())

    async def _read(self, connection: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            async for raw in connection:
                if isinstance(raw, bytes):
                    await self._sink(BinaryMessage(raw))
                elif (message := parse(raw)) is not None:
                    await self._sink(message)

    async def _open_again(self) -> ClientConnection:
        pause = 0.1
        while True:
            await asyncio.sleep(pause)  # first of all: ComfyUI has to have noticed that the old connection is gone
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                return await self._open()
            pause = min(pause * 2, 2.0)


def parse(raw: str) -> TextMessage | None:
    """Read one text frame; None for anything that is not a ComfyUI message."""
    try:
        message = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    data = message.get("data")
    return TextMessage(message["type"], data if isinstance(data, dict) else {})


async def greets(base_url: str, client_id: str, headers: Mapping[str, str] | None = None) -> bool:
    """Say whether the websocket opens and ComfyUI sends its first `status`, as every ready server does."""
    socket = ComfyUISocket(base_url, client_id, _ignore, headers)
    try:
        connection = await socket._open()
    except (WebSocketException, OSError, TimeoutError, InvalidHandshake):
        return False
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            first = await connection.recv()
    except (websockets.ConnectionClosed, TimeoutError):
        return False
    finally:
        await connection.close()
    message = parse(first) if isinstance(first, str) else None
    return message is not None and message.type == "status"


async def _ignore(_item: SocketItem) -> None:
    return None
