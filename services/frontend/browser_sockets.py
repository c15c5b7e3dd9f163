"""The participant's open browser tabs: one ComfyUI WebSocket each, with a bounded queue.

A tab that does not read is closed rather than waited for; it reconnects and gets the state of its run again. Previews
are not queued: the newest one waits, older ones are dropped. Texts of nodes, and pictures that are results and not
previews (SaveImageWebsocket's PNGs), are queued in order with the messages.
"""

import asyncio
import struct
from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

QUEUED_MESSAGES = 512
"""Some two minutes of a busy sampler's messages; a tab that is further behind has stopped reading."""

QUEUED_BYTES = 64 * 2**20
"""The same limit in bytes, for pictures; 64 of some 1024 x 1024 pixels."""

MAX_SOCKETS = 16
"""Tabs of one participant at a time; the oldest is closed for a new one."""

MAX_CLOSING = 32
"""Closing takes as long as the other side lets it: with this many more at once, new tabs are refused."""

_PREVIEW, _TEXT, _PREVIEW_WITH_METADATA = 1, 3, 4
_IMAGE_TYPES = {"image/jpeg": 1, "image/png": 2}


class BrowserSocket:
    """One tab's socket, its feature flags and what waits to be sent to it."""

    def __init__(self, socket: web.WebSocketResponse, client_id: str) -> None:
        self.client_id = client_id
        self.takes_preview_metadata = False
        self._socket = socket
        self._waiting: asyncio.Queue[bytes | str] = asyncio.Queue(QUEUED_MESSAGES)
        self._waiting_bytes = 0
        self._preview: bytes | None = None
        self._wake = asyncio.Event()
        self._closing: asyncio.Future[bool] | None = None

    def send(self, kind: str, data: Any) -> None:
        """Queue one JSON message; close the socket when it does not read."""
        self.send_encoded(msgspec.json.encode({"type": kind, "data": data}))

    def send_encoded(self, message: bytes) -> None:
        """Queue one message that is encoded already."""
        self._put(message.decode())

    def _put(self, item: bytes | str) -> None:
        if self._waiting.full() or self._waiting_bytes > QUEUED_BYTES:
            self.close()
        else:
            self._waiting.put_nowait(item)
            self._waiting_bytes += len(item)
        self._wake.set()

    def send_frame(self, frame: bytes) -> None:
        """Queue one of ComfyUI's binary frames, in the form that this tab understands."""
        suited = frame if self.takes_preview_metadata else without_metadata(frame)
        if suited is None:
            return
        if _is_result(frame):
            self._put(suited)
        else:
            self._preview = suited
            self._wake.set()

    def close(self) -> None:
        """Let the tab reconnect."""
        self._wake.set()
        if not self._socket.closed and self._closing is None:
            self._closing = task = asyncio.ensure_future(self._socket.close(code=1013, message=b"behind: reconnect"))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def write_until_closed(self) -> None:
        """Send what is queued, in order, until the socket is closed."""
        while not self._socket.closed:
            await self._wake.wait()
            self._wake.clear()
            while not self._waiting.empty():
                item = self._waiting.get_nowait()
                self._waiting_bytes -= len(item)
                await (self._socket.send_str(item) if isinstance(item, str) else self._socket.send_bytes(item))
            preview, self._preview = self._preview, None
            if preview is not None:
                await self._socket.send_bytes(preview)


class BrowserSockets:
    """All open tabs of the participant."""

    def __init__(self) -> None:
        self._sockets: list[BrowserSocket] = []

    def __iter__(self) -> Iterator[BrowserSocket]:
        return iter(list(self._sockets))

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, socket: BrowserSocket) -> None:
        """Register a tab. One with the same client id stays open until its browser closes it (a half-open line)."""
        self._sockets.append(socket)
        for oldest in self._sockets[:-MAX_SOCKETS]:
            oldest.close()

    def are_too_many(self) -> bool:
        """Whether so many are open or closing that no other may be added."""
        return len(self._sockets) >= MAX_SOCKETS + MAX_CLOSING

    def remove(self, socket: BrowserSocket) -> None:
        """Forget this very socket, never a newer one of the same client id (stock gets this wrong)."""
        self._sockets.remove(socket)

    def broadcast(self, kind: str, data: Any) -> None:
        """One message to every tab, encoded once."""
        message = msgspec.json.encode({"type": kind, "data": data})
        for socket in self:
            socket.send_encoded(message)


def _is_result(frame: bytes) -> bool:
    """Whether a frame stands for itself: a text, or a PNG; sampler previews are JPEG."""
    if len(frame) < 8:
        return False
    kind, form = struct.unpack_from(">II", frame)
    if kind == _PREVIEW_WITH_METADATA:
        return b'"image/png"' in frame[8 : 8 + form]
    return bool(kind == _TEXT or (kind == _PREVIEW and form == _IMAGE_TYPES["image/png"]))


def without_metadata(frame: bytes) -> bytes | None:
    """A preview frame for a client that did not ask for metadata: type 4 becomes type 1; None if it makes no sense."""
    if len(frame) < 8:
        return None
    kind, length = struct.unpack_from(">II", frame)
    if kind != _PREVIEW_WITH_METADATA:
        return frame
    try:
        metadata = msgspec.json.decode(frame[8 : 8 + length], type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    image_type = _IMAGE_TYPES.get(str(metadata.get("image_type")), 1)
    return struct.pack(">II", _PREVIEW, image_type) + frame[8 + length :]
