"""Redis as the services use it: one shared connection for short calls, a pool for the ones that block.

All short calls of a process travel over one socket: commands are written as they come, answers are matched in order.
With 64 callers that saves 45 to 80 us a call against a connection from redis-py's pool. redis-py parses the address and
serves the blocking calls (`blocking`: XREAD, pub/sub); hiredis packs and parses.

A call that was under way when the connection broke raises Unavailable: whether it took effect is not known, so every
command of the queue can be repeated safely. The next call connects again.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url

from services.domain.errors import StorageFull, Unavailable

Argument: TypeAlias = bytes | str | int | float
Command: TypeAlias = tuple[Argument, ...]
P = TypeVar("P", bound=asyncio.Protocol)

CONNECT_SECONDS = 2.0
"""How long a call waits for a new connection before it says that Redis is away."""
ANSWER_SECONDS = 10.0
"""The oldest unanswered call may be this old; then the connection counts as broken (as long as redis-py's default)."""

AWAY = "The queue's store does not answer at the moment; please send the same request again in a few seconds."
FULL = "The queue's store is full, so nothing new can be taken in; jobs that run still finish. Try again later."
REFUSED = "The store refuses to sign us in; check the user and the password in its address."

# hiredis declares a tuple of one element; it takes any number.
_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)


class RedisReplyError(Exception):
    """Redis answered with an error that is a fault of the program (wrong type, wrong arguments)."""


class NoScript(RedisReplyError):
    """Redis does not know the script (any more): it was restarted."""


def domain_error(reply: Exception) -> Exception:
    """The error of the house for an error reply of Redis."""
    word = str(reply).split(" ", 1)[0]
    if word == "NOSCRIPT":
        return NoScript(str(reply))
    if word in ("OOM", "MISCONF"):
        return StorageFull(FULL)
    if word in ("LOADING", "BUSY", "MASTERDOWN", "READONLY"):
        return Unavailable(AWAY)
    if word in ("WRONGPASS", "NOAUTH", "NOPERM"):
        return Unavailable(REFUSED)
    return RedisReplyError(str(reply))


class _Socket(asyncio.Protocol):
    """One connection: answers are handed to the waiting futures in the order of the commands."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=hiredis.ReplyError)
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether a command may be written."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_exception(Unavailable(AWAY))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                future = self._waiting.popleft()[1]
                if not future.done():  # its caller may have been cancelled meanwhile
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.abort()

    def send(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Write the commands in one piece; one future each."""
        assert self._transport is not None
        now = self._loop.time()
        futures = []
        for _ in commands:
            future: asyncio.Future[Any] = self._loop.create_future()
            self._waiting.append((now, future))
            futures.append(future)
        self._transport.write(b"".join([_pack(command) for command in commands]))
        if self._watch is None:
            self._watch = self._loop.call_later(ANSWER_SECONDS, self._check_age)
        return futures

    def _check_age(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][0] + ANSWER_SECONDS - self._loop.time()
        if left <= 0:
            self.abort()
        else:
            self._watch = self._loop.call_later(left, self._check_age)

    def abort(self) -> None:
        """Drop the connection; everybody who waits gets Unavailable."""
        if self._transport is not None:
            self._transport.abort()


async def _all(futures: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """The answers in order. They come in order, so waiting for one after the other is enough (gather costs 10 us)."""
    try:
        return [await future for future in futures]
    except BaseException:
        for future in futures:
            future.add_done_callback(_look_at)
        raise


def _look_at(future: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for, so that asyncio does not report it."""
    if not future.cancelled():
        future.exception()


class RedisConnection:
    """The way to Redis. Safe for any number of coroutines of one event loop."""

    def __init__(self, url: str) -> None:
        """`url`: redis://[:password@]host:port/db, rediss:// for TLS, or unix://path."""
        self._options: dict[str, Any] = dict(parse_url(url))
        self._url = url
        self._socket: _Socket | None = None
        self._connecting = asyncio.Lock()
        self._blocking: Redis | None = None

    @property
    def blocking(self) -> Redis:
        """redis-py's client with a pool, for XREAD BLOCK and pub/sub; answers are bytes."""
        if self._blocking is None:
            self._blocking = Redis.from_url(
                self._url, socket_connect_timeout=CONNECT_SECONDS, health_check_interval=15, protocol=2
            )
        return self._blocking

    def another(self) -> "RedisConnection":
        """Make a connection of its own to the same Redis, for one caller whose calls block (below ANSWER_SECONDS)."""
        return RedisConnection(self._url)

    async def execute(self, *command: Argument) -> Any:
        """Send one command and return its answer. Raises Unavailable, StorageFull, RedisReplyError."""
        socket = self._socket
        if socket is None or not socket.is_open:
            socket = await self._connect()
        reply = await socket.send((command,))[0]
        if isinstance(reply, Exception):
            raise domain_error(reply)
        return reply

    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one piece; answers in order, error replies as (domain) exception objects in the list.

        Not a transaction: other callers' commands may run in between.
        """
        if not commands:
            return []
        socket = self._socket
        if socket is None or not socket.is_open:
            socket = await self._connect()
        replies = await _all(socket.send(commands))
        return [domain_error(reply) if isinstance(reply, Exception) else reply for reply in replies]

    async def ping(self) -> None:
        """Return when Redis answers; raises Unavailable."""
        await self.execute("PING")

    async def close(self) -> None:
        """Give all connections back."""
        if self._socket is not None:
            self._socket.abort()
        if self._blocking is not None:
            await self._blocking.aclose()

    async def _connect(self) -> _Socket:
        async with self._connecting:
            if self._socket is not None and self._socket.is_open:  # somebody else was faster
                return self._socket
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    socket = await self.open(_Socket)
                    await self._sign_in(socket)
            except (OSError, TimeoutError) as error:
                raise Unavailable(AWAY) from error
            self._socket = socket
            return socket

    async def open(self, protocol: Callable[[], P]) -> P:
        """Open one more connection to the same Redis, spoken by `protocol`; raises OSError."""
        loop = asyncio.get_running_loop()
        options = self._options
        if "path" in options:
            _, spoken = await loop.create_unix_connection(protocol, options["path"])
            return spoken
        tls = True if "connection_class" in options else None
        host, port = options.get("host", "127.0.0.1"), options.get("port", 6379)
        _, spoken = await loop.create_connection(protocol, host, port, ssl=tls)
        return spoken

    def sign_in_commands(self) -> list[Command]:
        """What a new connection has to send first: password and database, as the address has them."""
        commands: list[Command] = []
        if password := self._options.get("password"):
            user = self._options.get("username")
            commands.append(("AUTH", user, password) if user else ("AUTH", password))
        if database := self._options.get("db"):
            commands.append(("SELECT", database))
        return commands

    async def _sign_in(self, socket: _Socket) -> None:
        commands = [*self.sign_in_commands(), ("PING",)]
        for reply in await asyncio.gather(*socket.send(commands)):
            if isinstance(reply, Exception):
                with contextlib.suppress(Exception):
                    socket.abort()
                raise domain_error(reply)
