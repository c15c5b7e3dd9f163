"""Events that do not come from a script: what a worker relays, and what happens to the room."""

from collections.abc import Mapping
from typing import Any

from services.kit.redis_connection import Argument, Command
from services.queue_manager import keys
from services.queue_manager.repository.base import Base, encode


class EventLog(Base):
    """Appends to the streams; whoever reads them has a connection of his own."""

    async def publish(self, participant: str, type_: str, job_id: str, data: Mapping[str, Any], now: int) -> None:
        """Append one event to a participant's stream."""
        await self._append(keys.events(participant), type_, job_id, encode(data), now)

    async def publish_many(self, participant: str, job_id: str, type_: str, data: list[bytes], now: int) -> None:
        """Append events of one job in order; `data` holds the JSON of each."""
        stream = keys.events(participant)
        for reply in await self._redis.pipeline([self._entry(stream, type_, job_id, item, now) for item in data]):
            if isinstance(reply, Exception):
                raise reply

    async def publish_to_room(self, type_: str, data: Mapping[str, Any], now: int) -> None:
        """Append one event for everybody."""
        await self._append(keys.ROOM_EVENTS, type_, "", encode(data), now)

    async def _append(self, stream: str, type_: str, job_id: str, data: bytes, now: int) -> None:
        expire: Command = ("PEXPIRE", stream, self._scripts.limits.keep_ended_ms)
        for reply in await self._redis.pipeline([self._entry(stream, type_, job_id, data, now), expire]):
            if isinstance(reply, Exception):
                raise reply

    def _entry(self, stream: str, type_: str, job_id: str, data: bytes, now: int) -> Command:
        limit: tuple[Argument, ...] = ("MAXLEN", "~", self._scripts.limits.events_length)
        return ("XADD", stream, *limit, "*", "type", type_, "job", job_id, "at", now, "data", data)
