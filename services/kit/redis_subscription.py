"""Listening on Redis pub/sub channels over a connection of one's own.

Every submit publishes a note, so that a process under load hears thousands a second. Taking one from redis-py costs as
much CPU as half a submit; here hiredis parses it and a plain function gets it, a few microseconds each. The listener
notices a dead line by itself (a ping every few seconds) and then ends: when to come back is the caller's decision.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

from services.domain.errors import Unavailable
from services.kit.redis_connection import AWAY, CONNECT_SECONDS, Command, RedisConnection

PING_SECONDS = 5.0
SILENCE_SECONDS = 15.0
"""A line on which not even a ping was answered for this long is dead."""

OnNote = Callable[[str, str], None]
"""Called with (channel, text) of each note, in order."""


class _Line(asyncio.Protocol):
    def __init__(self, on_note: OnNote) -> None:
        self._reader = hiredis.Reader(replyError=hiredis.ReplyError)
        self._asked: dict[str, asyncio.Future[None]] = {}
        self._on_note = on_note
        self._loop = asyncio.get_running_loop()
        self.heard_at = self._loop.time()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(Unavailable(AWAY))

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.ProtocolError:
            self.abort()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, Exception):  # wrong password, still loading
            self.abort()
        elif isinstance(reply, list) and reply[0] == b"message":
            self._on_note(reply[1].decode(), reply[2].decode())
        elif isinstance(reply, list) and reply[0] == b"subscribe":
            asked = self._asked.pop(reply[1].decode(), None)
            if asked is not None and not asked.done():
                asked.set_result(None)

    def subscribe(self, channels: Sequence[str], first: Sequence[Command] = ()) -> "asyncio.Future[list[None]]":
        for channel in channels:
            self._asked.setdefault(channel, self._loop.create_future())
        self.send([*first, ("SUBSCRIBE", *channels)])
        return asyncio.gather(*(self._asked[channel] for channel in channels))

    def send(self, commands: Sequence[Command]) -> None:
        assert self.transport is not None
        self.transport.write(b"".join([hiredis.pack_command(cast(Any, command)) for command in commands]))

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Subscription:
    """A listener; use as `async with Subscription(...) as line: await line.ended()`."""

    def __init__(self, redis: RedisConnection, channels: Sequence[str], on_note: OnNote) -> None:
        self._redis = redis
        self._channels = channels
        self._on_note = on_note
        self._line: _Line | None = None

    async def __aenter__(self) -> "Subscription":
        """Return when the subscription is in force; raises Unavailable."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                line = await self._redis.open(lambda: _Line(self._on_note))
                self._line = line
                await line.subscribe(self._channels, self._redis.sign_in_commands())
        except (OSError, TimeoutError) as error:
            self.close()
            raise Unavailable(AWAY) from error
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.close()

    async def add(self, channel: str) -> None:
        """Listen on one more channel; returns when that is in force. Raises Unavailable."""
        assert self._line is not None
        if self._line.transport is None or self._line.closed.done():
            raise Unavailable(AWAY)
        await self._line.subscribe([channel])

    def drop(self, channel: str) -> None:
        """Stop listening on a channel; notes that are on their way still come."""
        assert self._line is not None
        self._line.send([("UNSUBSCRIBE", channel)])

    def close(self) -> None:
        """Drop the connection."""
        if self._line is not None:
            self._line.abort()

    async def ended(self) -> None:
        """Return when the line is dead."""
        line = self._line
        assert line is not None
        while not line.closed.done():
            await asyncio.wait({line.closed}, timeout=PING_SECONDS)
            if asyncio.get_running_loop().time() - line.heard_at > SILENCE_SECONDS:
                line.abort()
            elif not line.closed.done():
                line.send([("PING",)])
