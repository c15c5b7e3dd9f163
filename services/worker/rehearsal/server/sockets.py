"""The connected clients and what is sent to them, in the order in which it was handed over."""

import asyncio
import contextlib
import io
import json
import logging
import struct
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import ClientError, WSMsgType, web
from PIL import Image

PREVIEW_IMAGE = 1
TEXT = 3
PREVIEW_IMAGE_WITH_METADATA = 4
JPEG = 1

log = logging.getLogger(__name__)


class Sockets:
    """One client per id. `send` and its kin may be called from any thread."""

    def __init__(self, features: dict[str, Any], remaining: Callable[[], int]) -> None:
        self._features = features
        self._remaining = remaining
        self._clients: dict[str, web.WebSocketResponse] = {}
        self._client_features: dict[str, dict[str, Any]] = {}
        self._outgoing: asyncio.Queue[tuple[str | bytes, str | None]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.client_id: str | None = None
        self.last_node_id: str | None = None

    # --- from any thread -----------------------------------------------------------------------------------------

    def send(self, event: str, data: dict[str, Any], client_id: str | None) -> None:
        """Send a message to one client, or to all when `client_id` is None."""
        self._post(json.dumps({"type": event, "data": data}), client_id)

    def send_preview(self, image: Image.Image, metadata: dict[str, Any], client_id: str | None) -> None:
        """Send a preview in the newer form: type 4, length, JSON, JPEG."""
        told = json.dumps({**metadata, "image_type": "image/jpeg"}).encode()
        frame = struct.pack(">II", PREVIEW_IMAGE_WITH_METADATA, len(told)) + told + _jpeg(image)
        self._post(frame, client_id)

    def send_old_preview(self, image: Image.Image, client_id: str | None) -> None:
        """Send a preview in the older form: type 1, image type, JPEG."""
        self._post(struct.pack(">II", PREVIEW_IMAGE, JPEG) + _jpeg(image), client_id)

    def send_text(self, node_id: str, text: str, client_id: str | None) -> None:
        """Send a text to be shown on a node: type 3, length and node id, text."""
        told = node_id.encode()
        self._post(struct.pack(">II", TEXT, len(told)) + told + text.encode(), client_id)

    def takes_preview_metadata(self, client_id: str | None) -> bool:
        """Whether the client said that it understands the newer previews."""
        return bool(self._client_features.get(client_id or "", {}).get("supports_preview_metadata"))

    def queue_changed(self) -> None:
        """Tell everybody how many prompts remain."""
        self.send("status", self._status(), None)

    def _post(self, message: str | bytes, client_id: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is about to end
            self._loop.call_soon_threadsafe(self._outgoing.put_nowait, (message, client_id))

    # --- in the server's loop ------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Send what was handed over, for ever."""
        while True:
            message, client_id = await self._outgoing.get()
            if client_id is None:
                targets = list(self._clients.values())
            else:
                targets = [self._clients[client_id]] if client_id in self._clients else []
            for target in targets:
                with contextlib.suppress(ClientError, ConnectionError):
                    await (target.send_str(message) if isinstance(message, str) else target.send_bytes(message))

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One client's connection, until it ends. The same id again takes over from the older connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        self._clients[client_id] = socket
        self._client_features[client_id] = {}
        try:
            self.send("status", {**self._status(), "sid": client_id}, client_id)
            if client_id == self.client_id and self.last_node_id is not None:
                self.send("executing", {"node": self.last_node_id}, client_id)
            first = True
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    first = self._hear(client_id, message.data, first)
        finally:
            if self._clients.get(client_id) is socket:
                del self._clients[client_id]
                del self._client_features[client_id]
        return socket

    async def close(self) -> None:
        """End all connections."""
        for socket in list(self._clients.values()):
            await socket.close(code=1001)

    def _hear(self, client_id: str, text: str, first: bool) -> bool:
        """Take in a client's message; only its first may tell its features. Returns whether the next is the first."""
        try:
            message = json.loads(text)
        except json.JSONDecodeError:
            log.warning("a client sent a message that is not JSON")
            return first
        if first and isinstance(message, dict) and message.get("type") == "feature_flags":
            features = message.get("data")
            self._client_features[client_id] = features if isinstance(features, dict) else {}
            self.send("feature_flags", self._features, client_id)
        return False

    def _status(self) -> dict[str, Any]:
        return {"status": {"exec_info": {"queue_remaining": self._remaining()}}}


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
