"""Brings events from the streams in Redis to those who watch: one reading task per process, one encoding per event.

A viewer watches streams: a participant his own and the room's, the instructor one participant's or everybody's. A
viewer who names the last event he saw first gets what came since; live events wait meanwhile, so that nothing is lost
or out of order. Where ids of two streams fall into the same millisecond an event may come twice, never not at all.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.domain.errors import WorkshopError
from services.kit.clock import now_ms
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection, RedisReplyError
from services.queue_manager import keys
from services.queue_manager.streams import HISTORY_PAGE, EventId, StreamReader, missed_event
from services.queue_manager.viewers import MAX_HELD, SIGNED_OUT, TRY_AGAIN_LATER, Event, Viewer

log = get_logger(__name__)

EVERYBODY = "*"
"""The participant that a viewer of the whole room names."""

MAX_REPLAYED = 20_000
"""Events that one viewer of the whole room may ask to see again; beyond that he is told that he missed some."""

_BLOCK_MS = 5000
_LOOK_AROUND_SECONDS = 1.0
_RETRY_SECONDS = 0.5


@dataclass(eq=False)
class Watch:
    """One viewer with what it watches; `held` keeps live events while it catches up."""

    viewer: Viewer
    participant: str
    held: list[Event] | None = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Hand a live event to the viewer, or hold it."""
        if self.held is None:
            self.viewer.deliver(event)
        elif len(self.held) < MAX_HELD:
            self.held.append(event)
        else:
            self.viewer.close(TRY_AGAIN_LATER, "too slow; come back with the id of the last event")

    def caught_up(self) -> None:
        """Hand over what came meanwhile; from here on live events go straight through."""
        held, self.held = self.held or [], None
        for event in held:
            self.viewer.deliver(event)


class EventHub:
    """All viewers of this process."""

    def __init__(self, redis: RedisConnection, participants: Callable[[], Iterable[str]]) -> None:
        """`participants` names everybody whose events a viewer of the whole room sees."""
        self._redis = redis
        self._reader = StreamReader(redis)
        self._participants = participants
        self._watches: dict[str, dict[Watch, None]] = {}
        self._positions: dict[str, EventId] = {}
        self._wake = keys.event_wake(secrets.token_hex(8))
        self._demand = asyncio.Event()

    @property
    def viewers(self) -> list[Viewer]:
        """Everybody who watches at the moment."""
        return [watch.viewer for watches in self._watches.values() for watch in watches]

    def viewers_of(self, participant: str) -> list[Viewer]:
        """Those who see this participant's previews."""
        watches = [*self._watches.get(participant, ()), *self._watches.get(EVERYBODY, ())]
        return [watch.viewer for watch in watches if watch.held is None]

    async def join(self, viewer: Viewer, participant: str) -> Watch:
        """Let a viewer watch `participant` (or EVERYBODY) from now on; the caller ends it with `leave`.

        What happens from now on is held back until `catch_up`.
        """
        watch = Watch(viewer, participant)
        self._watches.setdefault(participant, {})[watch] = None
        try:
            await self._follow_too(self._streams_of(participant))
        except BaseException:
            self.leave(watch)
            raise
        return watch

    async def catch_up(self, watch: Watch, after: EventId | None) -> None:
        """Hand over what came since `after` and what was held back; from then on events come as they happen."""
        if after is not None:
            # One cut through all streams: up to where the reading task is now the past, behind it what it will bring.
            streams = self._streams_of(watch.participant)
            until = {stream: self._positions[stream] for stream in streams if stream in self._positions}
            watch.held = []
            await self._replay(watch, until, after)
        watch.caught_up()

    def leave(self, watch: Watch) -> None:
        """Forget a viewer; streams that nobody watches any more are no longer read."""
        watches = self._watches.get(watch.participant, {})
        watches.pop(watch, None)
        if not watches:
            self._watches.pop(watch.participant, None)
            wanted = self._wanted()
            self._positions = {stream: at for stream, at in self._positions.items() if stream in wanted}

    def close(self) -> None:
        """Send everybody away: the process is about to end."""
        for viewer in self.viewers:
            viewer.close(1012, "the queue restarts; come back with the id of the last event")

    async def run(self) -> None:
        """Read the streams in demand until cancelled."""
        try:
            await self._read_for_ever()
        finally:
            await self._reader.close()

    async def _read_for_ever(self) -> None:
        while True:
            await self._demand.wait()
            if not self._watches:
                self._demand.clear()
                continue
            try:
                await self._read_once()
            except (WorkshopError, RedisReplyError) as error:
                log.warning("reading events failed", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def look_around(self) -> None:
        """Once a second: send away those whose credential is gone, and find participants who are new."""
        for viewer in self.viewers:
            if not viewer.allowed():
                viewer.close(SIGNED_OUT, "the credential is not valid any more")
        if EVERYBODY in self._watches:
            new = [stream for stream in self._streams_of(EVERYBODY) if stream not in self._positions]
            if new:
                a_moment_ago = (now_ms() - int(5000 * _LOOK_AROUND_SECONDS), 0)
                self._positions.update(dict.fromkeys(new, a_moment_ago))
                await self._poke()

    async def _read_once(self) -> None:
        asked = {**self._positions, self._wake: self._positions.get(self._wake, (0, 0))}
        for event in await self._reader.follow(asked, _BLOCK_MS):
            if event.stream == self._wake:
                self._positions[self._wake] = event.id
            elif self._positions.get(event.stream, event.id) < event.id:
                self._positions[event.stream] = event.id
                self._dispatch(event)

    def _dispatch(self, event: Event) -> None:
        if event.stream == keys.ROOM_EVENTS:
            for watches in [*self._watches.values()]:
                for watch in [*watches]:
                    watch.take(event)
            return
        owner = event.stream.removeprefix(keys.events(""))
        for name in (owner, EVERYBODY):
            for watch in [*self._watches.get(name, ())]:
                watch.take(event)

    def _streams_of(self, participant: str) -> list[str]:
        names = self._participants() if participant == EVERYBODY else [participant]
        return [*(keys.events(name) for name in names), keys.ROOM_EVENTS]

    def _wanted(self) -> set[str]:
        found = {stream for participant in self._watches for stream in self._streams_of(participant)}
        return found | {self._wake}

    async def _follow_too(self, streams: Sequence[str]) -> None:
        """Have these streams read from now on."""
        new = [stream for stream in streams if stream not in self._positions]
        if new:
            found = await self._reader.last_ids(new)
            self._positions.update({stream: at for stream, at in found.items() if stream not in self._positions})
            await self._poke()
        self._demand.set()

    async def _poke(self) -> None:
        """Make the reading task ask again, with the streams that are wanted now."""
        commands = [
            ("XADD", self._wake, "MAXLEN", 1, "*", "type", "wake", "at", now_ms()),
            ("EXPIRE", self._wake, 60),
        ]
        await self._redis.pipeline(commands)

    async def _replay(self, watch: Watch, until: Mapping[str, EventId], after: EventId) -> None:
        """Send what came since `after`, in each stream up to the given id."""
        gap = await self._reader.has_gap([stream for stream in until if stream != keys.ROOM_EVENTS], after)
        events = await self._since(until, after)
        if gap or len(events) > MAX_REPLAYED:
            watch.viewer.deliver(missed_event(after))
        for event in events[-MAX_REPLAYED:]:  # one more than that tells that there were too many
            await watch.viewer.drained()
            watch.viewer.deliver(event)

    async def _since(self, until: Mapping[str, EventId], after: EventId) -> list[Event]:
        """Collect the events behind `after` in the order of their ids; if there are too many, the newest of them.

        The id names an entry of one stream. In the others its whole millisecond counts as not seen yet.
        """
        named = await self._reader.contains(list(until), after)
        seen_in = set(named[:1]) if len(until) > 1 else set(until)
        events: list[Event] = []
        for stream, last in until.items():
            exact = stream in seen_in or not named
            start = (after[0], after[1] + 1) if exact else (after[0], 0)
            while start <= last:
                page = await self._reader.page(stream, start, last)
                events += page
                if len(page) < HISTORY_PAGE:
                    break
                start = (page[-1].id[0], page[-1].id[1] + 1)
                if len(events) > 2 * MAX_REPLAYED:
                    events = _newest(events)
        return _newest(events)


def _newest(events: list[Event]) -> list[Event]:
    """Sort by id and keep one more than may be replayed."""
    return sorted(events, key=lambda event: (event.id, event.stream))[-MAX_REPLAYED - 1 :]
