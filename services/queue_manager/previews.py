"""Previews on their way from a worker to those who watch: live only, never stored, the newest wins.

They travel over one pub/sub channel, because the viewer may sit at another process than the worker. How a slow viewer
is spared is viewers.py's business.
"""

import asyncio
import uuid

from redis.exceptions import RedisError

from services.domain.errors import WorkshopError
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.events import EventHub
from services.queue_manager.viewers import encode_preview

log = get_logger(__name__)

_RETRY_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0


class Previews:
    """This process's end of the channel."""

    def __init__(self, redis: RedisConnection, hub: EventHub) -> None:
        self._redis = redis
        self._hub = hub

    async def relay(self, participant: str, job_id: str, frame: bytes) -> None:
        """Send ComfyUI's binary frame to all processes; nobody may be watching."""
        note = participant.encode() + b"\0" + uuid.UUID(job_id).bytes + frame
        await self._redis.execute("PUBLISH", keys.PREVIEWS, note)

    async def run(self) -> None:
        """Hand on what arrives until cancelled."""
        while True:
            try:
                async with self._redis.blocking.pubsub(ignore_subscribe_messages=True) as line:
                    await line.subscribe(keys.PREVIEWS)
                    while True:
                        note = await line.get_message(timeout=_PATIENCE_SECONDS)
                        if note is not None:
                            self._hand_on(note["data"])
            except (RedisError, WorkshopError, OSError) as error:
                log.warning("the line for previews is down", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    def _hand_on(self, note: bytes) -> None:
        name, _, rest = note.partition(b"\0")
        viewers = self._hub.viewers_of(name.decode())
        if viewers:
            job = rest[:16]
            frame = encode_preview(job, rest[16:])
            for viewer in viewers:
                viewer.preview(job, frame)
