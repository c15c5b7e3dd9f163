"""Peer and limit of the event row: a message from Redis to every open WebSocket.

`library` is the `websockets` package with its broadcast(); `raw` writes one ready-made frame to every transport.
"""

import asyncio
import base64
import hashlib
from typing import Any, cast

from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, broadcast, serve

CHANNEL = "limit:events"
HANDSHAKE_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""The constant of RFC 6455, section 1.3."""


async def messages(redis_port: int) -> Any:
    """Yield what is published on the channel."""
    redis: Redis = Redis(port=redis_port)
    channel = redis.pubsub(ignore_subscribe_messages=True)
    await channel.subscribe(CHANNEL)
    async for message in channel.listen():
        yield message["data"]


async def serve_with_library(port: int, redis_port: int) -> None:
    """Accept viewers with the `websockets` package and broadcast every message."""
    viewers: set[ServerConnection] = set()

    async def view(connection: ServerConnection) -> None:
        viewers.add(connection)
        await connection.wait_closed()
        viewers.discard(connection)

    async with serve(view, "127.0.0.1", port, compression=None):
        async for message in messages(redis_port):
            broadcast(viewers, message.decode())


class RawViewer(asyncio.Protocol):
    """Answers the handshake and never reads a frame."""

    def __init__(self, viewers: set[asyncio.Transport]) -> None:
        self._viewers = viewers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"GET "):
            return
        lines = dict(line.split(b": ", 1) for line in data.split(b"\r\n") if b": " in line)
        key = next(value for name, value in lines.items() if name.lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + HANDSHAKE_SALT, usedforsecurity=False).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._viewers.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._viewers.discard(self._transport)


async def serve_raw(port: int, redis_port: int) -> None:
    """Build each frame once and write it to every transport."""
    viewers: set[asyncio.Transport] = set()
    await asyncio.get_running_loop().create_server(lambda: RawViewer(viewers), "127.0.0.1", port)
    async for message in messages(redis_port):
        frame = b"\x81\x7e" + len(message).to_bytes(2, "big") + message
        for viewer in viewers:
            viewer.write(frame)
