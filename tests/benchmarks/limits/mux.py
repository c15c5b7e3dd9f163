"""One Redis connection for all callers of a process: requests leave as they come, answers go out in order.

The least a Redis client can do; no reconnect, no timeouts. Only the limits use it.
"""

import asyncio
import collections
from typing import Any, cast

import hiredis


class Mux(asyncio.Protocol):
    """`call` writes one packed command and waits for its answer; commands of one loop turn leave in one write."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: collections.deque[asyncio.Future[Any]] = collections.deque()
        self._buffer: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, port: int) -> "Mux":
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            waiting = self._waiting.popleft()
            if isinstance(answer, hiredis.HiredisError):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    def call(self, *command: bytes | str | int) -> asyncio.Future[Any]:
        """Send one command; the future holds its answer."""
        waiting: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(waiting)
        if not self._buffer:
            self._loop.call_soon(self._flush)
        self._buffer.append(hiredis.pack_command(command))  # type: ignore[arg-type]
        return waiting

    def _flush(self) -> None:
        self._transport.write(b"".join(self._buffer))
        self._buffer.clear()
