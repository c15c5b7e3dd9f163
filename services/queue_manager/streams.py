"""Reading event streams of Redis: what is new, what was before, and whether something in between is gone.

Turns entries into encoded events. Who gets them is events.py's business; appending is the repository's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.domain.errors import InvalidInput
from services.kit.redis_connection import Command, RedisConnection
from services.queue_manager import keys
from services.queue_manager.viewers import Event

EventId = tuple[int, int]
FIRST: EventId = (0, 0)

HISTORY_PAGE = 500
"""Entries that one look into the past brings at most."""
_LIVE_PAGE = 100
_EVENTS = keys.events("")


def parse_id(text: str) -> EventId:
    """Read an event's id, `milliseconds-number` or `milliseconds`; raises InvalidInput."""
    head, _, tail = text.partition("-")
    if not (head.isascii() and head.isdigit() and len(head) < 16) or (tail and not (tail.isascii() and tail.isdigit())):
        raise InvalidInput("The id of the last event has to be an id as events carry it, like 1767225600000-0.")
    return int(head), int(tail[:18] or 0)


def spell_id(id_: EventId) -> str:
    """Spell an id as Redis does."""
    return f"{id_[0]}-{id_[1]}"


def _read_id(raw: bytes) -> EventId:
    head, _, tail = raw.partition(b"-")
    return int(head), int(tail)


def event_of(stream: str, raw_id: bytes, fields: Mapping[bytes, bytes]) -> Event:
    """Encode one entry; the parts were made by the queue manager itself, `data` is JSON already."""
    owner = stream.removeprefix(_EVENTS) if stream.startswith(_EVENTS) else None
    job = fields.get(b"job", b"")
    body = b'{"id":"%b","type":"%b","job":%b,"participant":%b,"at":%b,"data":%b}' % (
        raw_id,
        fields[b"type"],
        b'"' + job + b'"' if job else b"null",
        b'"' + owner.encode() + b'"' if owner else b"null",
        fields[b"at"],
        fields.get(b"data") or b"{}",
    )
    return Event(_read_id(raw_id), stream, body)


def missed_event(after: EventId) -> Event:
    """Say to a viewer that events after `after` are not kept any more; the truth is in GET /api/jobs."""
    body = msgspec.json.encode(
        {"id": spell_id(after), "type": "missed", "job": None, "participant": None, "at": after[0], "data": {}}
    )
    return Event(after, "", body)


class StreamReader:
    """Reads with the shared connection (`history`, `last_ids`) and with one that may block (`follow`)."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self._blocking = redis.another()

    async def follow(self, positions: Mapping[str, EventId], block_ms: int) -> list[Event]:
        """Wait for entries behind the given positions; answers them in the order of their ids.

        Where a stream has more than one page, what other streams have behind that page waits for the next call: a
        viewer that resumes behind an id must have seen everything before it.
        """
        ids = [spell_id(position) for position in positions.values()]
        found = await self._blocking.execute(
            "XREAD", "COUNT", _LIVE_PAGE, "BLOCK", block_ms, "STREAMS", *positions, *ids
        )
        events = [
            event_of(stream.decode(), raw_id, _mapping(fields))
            for stream, entries in found or ()
            for raw_id, fields in entries
        ]
        if len(events) > 1:
            events.sort(key=lambda event: event.id)
        cut_short = [_read_id(entries[-1][0]) for _, entries in found or () if len(entries) == _LIVE_PAGE]
        return [event for event in events if event.id <= min(cut_short)] if cut_short else events

    async def close(self) -> None:
        """Give the connection back that `follow` used."""
        await self._blocking.close()

    async def last_ids(self, streams: Sequence[str]) -> dict[str, EventId]:
        """Return the id of the newest entry of each stream at one moment; FIRST for one that is empty."""
        looks: list[Command] = [("XREVRANGE", stream, "+", "-", "COUNT", 1) for stream in streams]
        answers = await self._redis.pipeline([("MULTI",), *looks, ("EXEC",)])
        _raise_first(answers)
        pairs = zip(streams, answers[-1], strict=True)
        return {stream: _read_id(entries[0][0]) if entries else FIRST for stream, entries in pairs}

    async def page(self, stream: str, start: EventId, stop: EventId) -> list[Event]:
        """Return up to 500 entries from `start` to `stop`, both included, oldest first."""
        entries = await self._redis.execute("XRANGE", stream, spell_id(start), spell_id(stop), "COUNT", HISTORY_PAGE)
        return [event_of(stream, raw_id, _mapping(fields)) for raw_id, fields in entries]

    async def contains(self, streams: Sequence[str], id_: EventId) -> list[str]:
        """Say which of the streams have an entry with exactly this id."""
        spelled = spell_id(id_)
        answers = await self._redis.pipeline([("XRANGE", stream, spelled, spelled) for stream in streams])
        _raise_first(answers)
        return [stream for stream, entries in zip(streams, answers, strict=True) if entries]

    async def has_gap(self, streams: Sequence[str], after: EventId) -> bool:
        """Say whether entries behind `after` were trimmed away from one of the streams."""
        for stream in streams:
            if not await self._redis.execute("EXISTS", stream):
                continue
            flat = await self._redis.execute("XINFO", "STREAM", stream)
            info = dict(zip(flat[::2], flat[1::2], strict=True))
            first = info[b"first-entry"]
            trimmed = info[b"entries-added"] > info[b"length"]
            if trimmed and (first is None or _read_id(first[0]) > after):
                return True
        return False


def _mapping(fields: Sequence[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _raise_first(answers: Sequence[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
