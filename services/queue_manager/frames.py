"""WebSocket frames that are encoded once and written to many sockets as they are.

An ASGI server encodes every message for every socket; with 200 viewers of one event that is most of the time between a
worker and a browser. `FanOutProtocol` is uvicorn's own protocol with one addition: it hands the application its write
side (`scope["extensions"]["comfyume.frames"]["socket"]`). Everything else about the socket stays uvicorn's business.
"""

import struct
from collections.abc import Callable

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "comfyume.frames"

_TEXT, _BINARY, _CLOSE = 0x81, 0x82, 0x88
_ABORT_SECONDS = 5.0
"""A viewer that is told to go and does not even take the message is cut off after this long."""


def text_frame(text: bytes) -> bytes:
    """Encode one whole unmasked text message (UTF-8)."""
    return _frame(_TEXT, text)


def binary_frame(*parts: bytes) -> bytes:
    """Encode one whole unmasked binary message."""
    return _frame(_BINARY, b"".join(parts))


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((first, size))
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 126, size)
    else:
        head = struct.pack("!BBQ", first, 127, size)
    return head + payload


class FanOutProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, writable with frames that are encoded already."""

    on_writable: Callable[[], None] | None = None
    """Called when a socket that was full takes bytes again."""

    @classmethod
    def of(cls, scope: Scope) -> "FanOutProtocol":
        """Return the protocol that serves this scope."""
        protocol = scope["extensions"][EXTENSION]["socket"]
        assert isinstance(protocol, cls)
        return protocol

    def handle_connect(self, event: Request) -> None:
        """Add the write side to the scope that the application is about to get."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"] = {**(self.scope["extensions"] or {}), EXTENSION: {"socket": self}}

    @property
    def is_open(self) -> bool:
        """Whether frames may still be written."""
        return not (self.close_sent or self.disconnected or self.transport.is_closing())

    @property
    def unsent(self) -> int:
        """Bytes that were written and that the network has not taken yet."""
        return self.transport.get_write_buffer_size()

    def write_frame(self, frame: bytes) -> None:
        """Send an encoded frame; does nothing once the socket closes."""
        if self.is_open:
            self.transport.write(frame)

    def drop(self, code: int, reason: str) -> None:
        """Close the socket without waiting for a viewer that may never read."""
        if not self.is_open:
            return
        self.write_frame(_frame(_CLOSE, struct.pack("!H", code) + reason.encode()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.close()
        self.loop.call_later(_ABORT_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Pass on that there is room again."""
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()
