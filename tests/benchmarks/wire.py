"""The measuring clients: raw asyncio protocols that cost next to nothing beside the server they measure."""

import asyncio
import base64
import os
import ssl
import time
from collections.abc import Mapping
from typing import cast

import httptools


def http_request(
    method: str, path: str, token: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """One ready-made HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {token}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class HttpConnection(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    @classmethod
    async def connect(cls, port: int, trust: ssl.SSLContext | None = None) -> "HttpConnection":
        """Connect; with `trust` over TLS, as a browser does."""
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port, ssl=trust)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the answer's body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result((self._parser.get_status_code(), b"".join(self._body)))
        self._body.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError("the server closed the connection"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request of `http_request`; status and body of the answer."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        self._transport.close()


class Viewer(asyncio.Protocol):
    """A WebSocket that only notes when which text frame came."""

    def __init__(self, path: str, token: str) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._path = path
        self._token = token
        self._buffer = b""

    @classmethod
    async def connect(cls, port: int, path: str, token: str) -> "Viewer":
        """Open the socket and wait until the server has accepted it."""
        loop = asyncio.get_running_loop()
        _, viewer = await loop.create_connection(lambda: cls(path, token), "127.0.0.1", port)
        await asyncio.wait_for(viewer.opened, 30)
        return viewer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Authorization: Bearer {self._token}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        moment = time.monotonic_ns()
        self._buffer += data
        if not self.opened.done() and not self._handshake():
            return
        while (end := self._frame_end()) is not None:
            start = self._payload_start()
            if self._buffer[0] & 0x0F == 1:
                self.frames.append((moment, self._buffer[start:end]))
            self._buffer = self._buffer[end:]

    def _handshake(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            self.opened.set_exception(ConnectionError(head.split(b"\r\n", 1)[0].decode()))
            self._transport.close()
            return False
        self._buffer = rest
        self.opened.set_result(None)
        return True

    def _payload_start(self) -> int:
        return {126: 4, 127: 10}.get(self._buffer[1], 2)

    def _frame_end(self) -> int | None:
        if len(self._buffer) < 2 or len(self._buffer) < (start := self._payload_start()):
            return None
        short = self._buffer[1]
        length = short if short < 126 else int.from_bytes(self._buffer[2:start], "big")
        return start + length if len(self._buffer) >= start + length else None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()
