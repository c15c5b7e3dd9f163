"""The hub between Redis and viewers, at the moments that sockets hit only by chance."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.domain.errors import Unavailable
from services.kit.redis_connection import RedisConnection
from services.queue_manager import events as events_module
from services.queue_manager.events import EVERYBODY, EventHub, Watch
from services.queue_manager.repository import JobRepository
from services.queue_manager.scripts import Scripts
from services.queue_manager.streams import parse_id
from services.queue_manager.viewers import Event
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

PEOPLE = ["anna", "bert"]


async def _at_once() -> None:
    """Nothing happens between two events of a replay."""


@dataclass(eq=False)
class Collector:
    """A viewer that keeps what it gets; `between` runs before each event of a replay."""

    between: Callable[[], Awaitable[None]] = _at_once
    allowed: Callable[[], bool] = lambda: True
    events: list[Event] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    def deliver(self, event: Event) -> None:
        self.events.append(event)

    def preview(self, job: bytes, frame: bytes) -> None:
        raise AssertionError("nobody sent a preview")

    def close(self, code: int, reason: str) -> None:
        self.closed.append(code)

    async def drained(self) -> None:
        await self.between()

    @property
    def seen(self) -> list[str]:
        """What the events say, in order."""
        bodies = [json.loads(event.body) for event in self.events]
        return [body["data"].get("n", body["type"]) for body in bodies]


@asynccontextmanager
async def _running(redis: RedisConnection) -> AsyncIterator[EventHub]:
    hub = EventHub(redis, lambda: PEOPLE)
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tell(jobs: JobRepository, person: str, *numbers: str) -> None:
    for number in numbers:
        await jobs.publish(person, "job.progress", "some-job", {"n": number}, 1)


async def _answers(redis: RedisConnection) -> bool:
    try:
        await redis.ping()
    except Unavailable:
        return False
    return True


async def _watch(hub: EventHub, viewer: Collector, whom: str, after: str | None) -> Watch:
    watch = await hub.join(viewer, whom)
    await hub.catch_up(watch, parse_id(after) if after else None)
    return watch


async def test_events_that_come_during_a_replay_follow_it_in_order(redis: RedisConnection, jobs: JobRepository) -> None:
    await _tell(jobs, "anna", "1", "2", "3")
    async with _running(redis) as hub:
        told = False

        async def tell_more() -> None:
            nonlocal told
            if not told:
                told = True
                await _tell(jobs, "anna", "4", "5")
                await wait_until(lambda: len(watch.held or ()) == 2, "the hub to hold the new events back")

        viewer = Collector(tell_more)
        watch = await hub.join(viewer, "anna")
        await hub.catch_up(watch, (0, 0))
        await _tell(jobs, "anna", "6")
        await wait_until(lambda: len(viewer.events) == 6, "all events")
    assert viewer.seen == ["1", "2", "3", "4", "5", "6"]


async def test_events_between_joining_and_replaying_come_once(redis: RedisConnection, jobs: JobRepository) -> None:
    await _tell(jobs, "anna", "1")
    async with _running(redis) as hub:
        viewer = Collector()
        watch = await hub.join(viewer, "anna")
        await _tell(jobs, "anna", "2", "3")
        await wait_until(lambda: len(watch.held or ()) == 2, "the hub to hold the new events back")
        await hub.catch_up(watch, (0, 0))
        await _tell(jobs, "anna", "4")
        await wait_until(lambda: len(viewer.events) == 4, "all events")
    assert viewer.seen == ["1", "2", "3", "4"]


async def test_events_that_the_reading_task_finds_after_the_replay_do_not_come_again(
    redis: RedisConnection, jobs: JobRepository
) -> None:
    hub = EventHub(redis, lambda: PEOPLE)
    viewer = Collector()
    watch = await hub.join(viewer, "anna")
    await _tell(jobs, "anna", "1", "2")
    await hub.catch_up(watch, (0, 0))
    task = asyncio.create_task(hub.run())
    await _tell(jobs, "anna", "3")
    await wait_until(lambda: "3" in viewer.seen, "the event after the replay")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert viewer.seen == ["1", "2", "3"]


async def test_a_burst_in_one_stream_does_not_let_later_events_of_another_overtake_it(
    redis: RedisConnection, jobs: JobRepository
) -> None:
    hub = EventHub(redis, lambda: PEOPLE)
    viewer = Collector()
    await _watch(hub, viewer, EVERYBODY, None)
    await _tell(jobs, "anna", *map(str, range(250)))
    await _tell(jobs, "bert", "last")
    task = asyncio.create_task(hub.run())
    await wait_until(lambda: len(viewer.events) == 251, "all events")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    ids = [event.id for event in viewer.events]
    assert ids == sorted(ids)
    assert set(viewer.seen) == {*map(str, range(250)), "last"}


async def test_a_viewer_without_a_last_event_sees_only_what_is_new(redis: RedisConnection, jobs: JobRepository) -> None:
    await _tell(jobs, "anna", "old")
    async with _running(redis) as hub:
        viewer = Collector()
        await _watch(hub, viewer, "anna", None)
        await _tell(jobs, "anna", "new")
        await wait_until(lambda: viewer.events, "the new event")
    assert viewer.seen == ["new"]


async def test_a_stream_that_is_wanted_later_is_read_from_then_on(redis: RedisConnection, jobs: JobRepository) -> None:
    async with _running(redis) as hub:
        first, second = Collector(), Collector()
        await _watch(hub, first, "anna", None)
        await _tell(jobs, "anna", "1")
        await wait_until(lambda: first.events, "the first event")
        await _watch(hub, second, "bert", None)
        await _tell(jobs, "bert", "2")
        await wait_until(lambda: second.events, "the second event, though the reader was waiting already")
    assert (first.seen, second.seen) == (["1"], ["2"])


async def test_the_room_sees_everybody_in_the_order_of_time_and_resumes_without_a_loss(
    redis: RedisConnection, jobs: JobRepository
) -> None:
    for number in range(0, 20, 2):
        await _tell(jobs, "anna", str(number))
        await _tell(jobs, "bert", str(number + 1))
    expected = [str(number) for number in range(20)]
    async with _running(redis) as hub:
        whole = Collector()
        await _watch(hub, whole, EVERYBODY, "0")
        assert sorted(whole.seen, key=int) == expected
        assert [event.id for event in whole.events] == sorted(event.id for event in whole.events)
        for cut, last in enumerate(whole.events):
            rest = Collector()
            hub.leave(await _watch(hub, rest, EVERYBODY, last.name))
            assert set(rest.seen) >= set(whole.seen[cut + 1 :]), f"after {last.name}"


async def test_two_streams_with_the_same_id_lose_nothing(redis: RedisConnection, jobs: JobRepository) -> None:
    for person in PEOPLE:
        await redis.execute("XADD", f"events:{person}", "5-0", "type", "x", "at", 1, "data", f'{{"n": "{person}"}}')
        await redis.execute("PEXPIRE", f"events:{person}", 60_000)
    async with _running(redis) as hub:
        viewer = Collector()
        await _watch(hub, viewer, EVERYBODY, "5-0")
    assert "bert" in viewer.seen, "only one of the two was seen before"


async def test_too_much_to_replay_becomes_the_newest_part_and_a_word_about_the_rest(
    redis: RedisConnection, jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "MAX_REPLAYED", 5)
    await _tell(jobs, "anna", *map(str, range(20)))
    async with _running(redis) as hub:
        viewer = Collector()
        await _watch(hub, viewer, "anna", "0")
    assert viewer.seen == ["missed", "15", "16", "17", "18", "19"]


async def test_a_viewer_who_cannot_keep_up_while_catching_up_is_sent_away(
    redis: RedisConnection, jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "MAX_HELD", 3)
    async with _running(redis) as hub:
        viewer = Collector()
        await hub.join(viewer, "anna")
        await _tell(jobs, "anna", *map(str, range(10)))
        await wait_until(lambda: viewer.closed, "the viewer to be sent away")
    assert viewer.closed[0] == 1013


async def test_a_viewer_whose_credential_is_gone_is_sent_away(redis: RedisConnection) -> None:
    hub = EventHub(redis, lambda: PEOPLE)
    stays, goes = Collector(), Collector(allowed=lambda: False)
    for viewer in (stays, goes):
        await _watch(hub, viewer, "anna", None)
    await hub.look_around()
    assert (stays.closed, goes.closed) == ([], [4401])


async def test_a_participant_who_is_new_appears_to_the_room(
    redis: RedisConnection, jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = ["anna"]
    hub = EventHub(redis, lambda: people)
    task = asyncio.create_task(hub.run())
    viewer = Collector()
    await _watch(hub, viewer, EVERYBODY, None)
    people.append("carl")
    await _tell(jobs, "carl", "before the hub looked around")
    await hub.look_around()
    await _tell(jobs, "carl", "after")
    await wait_until(lambda: len(viewer.events) == 2, "both events")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert viewer.seen == ["before the hub looked around", "after"]


@pytest.mark.slow
async def test_events_go_on_after_redis_was_killed_and_came_back(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", "--appendfsync", "always") as server:
        redis = RedisConnection(server.url)
        jobs = JobRepository(redis, Scripts(redis))
        async with _running(redis) as hub:
            viewer = Collector()
            await _watch(hub, viewer, "anna", None)
            await _tell(jobs, "anna", "1")
            await wait_until(lambda: viewer.events, "the first event")
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await wait_until(lambda: _answers(redis), "Redis to answer again")
            await _tell(jobs, "anna", "2")
            await wait_until(lambda: len(viewer.events) == 2, "the event after the restart")
        await redis.close()
    assert viewer.seen == ["1", "2"]
