"""Those who watch: a browser's WebSocket, or a stream of server-sent events. What they get comes from events.py.

A viewer never makes others wait. What the network does not take is bounded; a viewer that falls behind is sent away
(close code 1013) and may come back with the id of the last event it saw.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from services.queue_manager.frames import FanOutProtocol, binary_frame, text_frame

MAX_UNSENT = 2 << 20
"""Bytes that one viewer may be behind."""
MAX_HELD = 2000
"""Events that one viewer may be behind: while it is catching up, or on a stream of server-sent events."""
BUSY = 64 << 10
"""With more unsent bytes than this a socket gets no preview; the newest one waits until there is room."""

TRY_AGAIN_LATER = 1013
SIGNED_OUT = 4401


@dataclass(frozen=True)
class Event:
    """One entry of a stream, encoded at most once for each kind of viewer."""

    id: tuple[int, int]
    stream: str
    body: bytes
    """The event as JSON."""

    @property
    def name(self) -> str:
        """The id as text, `milliseconds-number`."""
        return f"{self.id[0]}-{self.id[1]}"

    @cached_property
    def frame(self) -> bytes:
        """The event as a WebSocket frame."""
        return text_frame(self.body)

    @cached_property
    def lines(self) -> bytes:
        """The event as text/event-stream."""
        return b"id: " + self.name.encode() + b"\ndata: " + self.body + b"\n\n"


class Viewer(Protocol):
    """What the hub and the previews ask of a viewer."""

    @property
    def allowed(self) -> Callable[[], bool]:
        """Say whether the credential that opened it still holds."""

    def deliver(self, event: Event) -> None:
        """Take one event, at once."""

    def preview(self, job: bytes, frame: bytes) -> None:
        """Take one preview (an encoded frame) of a job (16 bytes), or let it be."""

    def close(self, code: int, reason: str) -> None:
        """Go away."""

    async def drained(self) -> None:
        """Return when there is room for more; used between the pages of a replay."""


@dataclass(eq=False)
class SocketViewer:
    """A WebSocket: events are written to the transport as they come."""

    socket: FanOutProtocol
    allowed: Callable[[], bool]
    _previews: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.socket.on_writable = self._send_previews

    def deliver(self, event: Event) -> None:
        """Write the event's frame, unless the viewer is too far behind."""
        self.socket.write_frame(event.frame)
        if self.socket.unsent > MAX_UNSENT:
            self.close(TRY_AGAIN_LATER, "too slow; come back with the id of the last event")

    def preview(self, job: bytes, frame: bytes) -> None:
        """Write the preview, or keep it until there is room; of each job only the newest is kept."""
        self._previews[job] = frame
        if self.socket.unsent < BUSY:
            self._send_previews()

    def _send_previews(self) -> None:
        waiting, self._previews = self._previews, {}
        for frame in waiting.values():
            self.socket.write_frame(frame)

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        self._previews.clear()
        self.socket.drop(code, reason)

    async def drained(self) -> None:
        """Wait until the transport takes more."""
        await self.socket.writable.wait()


@dataclass(eq=False)
class StreamViewer:
    """A response of server-sent events: events wait in a bounded queue for the response's task."""

    allowed: Callable[[], bool]
    _waiting: deque[bytes] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _taken: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    def deliver(self, event: Event) -> None:
        """Queue the event's lines, unless the viewer is too far behind."""
        if self._closed:
            return
        self._waiting.append(event.lines)
        self._changed.set()
        if len(self._waiting) > MAX_HELD:
            self.close(TRY_AGAIN_LATER, "too slow")

    def preview(self, job: bytes, frame: bytes) -> None:
        """Let it be: this is a stream of text."""

    def close(self, code: int, reason: str) -> None:
        """End the stream; a browser comes back by itself, with the last id."""
        self._closed = True
        self._waiting.clear()
        self._changed.set()
        self._taken.set()

    async def drained(self) -> None:
        """Wait until the response's task has taken what is there."""
        if self._waiting and not self._closed:
            self._taken.clear()
            await self._taken.wait()

    async def next(self, seconds: float) -> bytes | None:
        """Return what has come, b"" when nothing came for that long, None at the end."""
        if not self._waiting and not self._closed:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return b""
        if self._closed:
            return None
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self._taken.set()
        return taken


def encode_preview(job: bytes, frame: bytes) -> bytes:
    """Encode a preview for all sockets: the job's UUID (16 bytes), then ComfyUI's own binary message."""
    return binary_frame(job, frame)
