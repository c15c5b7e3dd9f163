"""Viewers that are slower than the events: bounded, sent away, with the newest preview only."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from services.queue_manager import viewers
from services.queue_manager.frames import FanOutProtocol
from services.queue_manager.viewers import BUSY, MAX_HELD, MAX_UNSENT, Event, SocketViewer, StreamViewer

JOB, OTHER = b"a" * 16, b"b" * 16


@dataclass
class Socket:
    """The write side of a socket whose network takes nothing until it is told to."""

    unsent: int = 0
    sent: list[bytes] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)

    def write_frame(self, frame: bytes) -> None:
        if not self.dropped:
            self.sent.append(frame)
            self.unsent += len(frame)

    def drop(self, code: int, reason: str) -> None:
        self.dropped.append(code)


def _event(number: int, size: int = 2) -> Event:
    return Event((number, 0), "events:anna", b'"' + b"x" * size + b'"')


def _viewer() -> tuple[SocketViewer, Socket]:
    socket = Socket()
    return SocketViewer(cast(FanOutProtocol, socket), lambda: True), socket


def test_a_socket_that_takes_nothing_is_dropped_with_a_word_to_come_back() -> None:
    viewer, socket = _viewer()
    for number in range(1000):
        viewer.deliver(_event(number, 100_000))
    assert socket.dropped[0] == viewers.TRY_AGAIN_LATER
    assert socket.unsent < MAX_UNSENT + 200_000


def test_of_each_job_only_the_newest_preview_waits_for_room() -> None:
    viewer, socket = _viewer()
    viewer.preview(JOB, b"first")
    socket.unsent = BUSY
    for frame in (b"second", b"third"):
        viewer.preview(JOB, frame)
    viewer.preview(OTHER, b"of another job")
    assert socket.sent == [b"first"]
    socket.unsent = 0
    resumed = cast(FanOutProtocol, socket).on_writable
    assert resumed is not None
    resumed()
    assert socket.sent == [b"first", b"third", b"of another job"]


async def test_a_stream_gives_what_came_and_beats_when_nothing_comes() -> None:
    viewer = StreamViewer(lambda: True)
    viewer.deliver(_event(1))
    viewer.deliver(_event(2))
    assert await viewer.next(60) == b'id: 1-0\ndata: "xx"\n\nid: 2-0\ndata: "xx"\n\n'
    assert await viewer.next(0.01) == b""
    waiting = asyncio.create_task(viewer.next(60))
    await asyncio.sleep(0)
    viewer.deliver(_event(3))
    assert await waiting == b'id: 3-0\ndata: "xx"\n\n'


async def test_a_stream_that_nobody_reads_ends_and_holds_nothing_more() -> None:
    viewer = StreamViewer(lambda: True)
    for number in range(MAX_HELD + 10):
        viewer.deliver(_event(number))
    assert await viewer.next(60) is None
    viewer.deliver(_event(1))
    assert not viewer._waiting


async def test_a_replay_waits_until_the_stream_was_read() -> None:
    viewer = StreamViewer(lambda: True)
    await viewer.drained()
    viewer.deliver(_event(1))
    waiting = asyncio.create_task(viewer.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    await viewer.next(60)
    await asyncio.wait_for(waiting, 60)
