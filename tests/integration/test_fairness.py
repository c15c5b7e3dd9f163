"""Who is next: the sequences that people will look at, told one by one."""

from collections import Counter

import pytest

from services.domain.errors import LimitReached
from services.domain.job import Discipline, JobState, Priority
from services.queue_manager.repository import JobRepository
from services.queue_manager.scheduler import overtaking_limit
from tests.support.queue_room import Room


@pytest.fixture
def room(jobs: JobRepository) -> Room:
    """An empty room."""
    return Room(jobs)


async def send_abc(room: Room) -> None:
    await room.send("a", 32)
    await room.send("b", 2)
    await room.send("c", 3)


async def test_round_robin_gives_everybody_a_turn_before_anybody_a_second_one(room: Room) -> None:
    await send_abc(room)
    order = await room.run_all()
    assert order[:9] == ["A1", "B1", "C1", "A2", "B2", "C2", "A3", "C3", "A4"]
    assert order[9:] == [f"A{number}" for number in range(5, 33)]


async def test_fifo_runs_in_order_of_arrival_whatever_the_priorities(room: Room) -> None:
    await room.jobs.set_discipline(Discipline.FIFO, room.now)
    await room.send("a", 2)
    await room.send("b", 1, priority=Priority.INSTRUCTOR)
    await room.send("a", 1, priority=Priority.LOW)
    await room.send("c", 1, priority=Priority.HIGH)
    assert await room.run_all() == ["A1", "A2", "B1", "A3", "C1"]


async def test_priority_runs_classes_first_and_arrival_within_a_class(room: Room) -> None:
    await room.jobs.set_discipline(Discipline.PRIORITY, room.now)
    await room.send("a", 1, priority=Priority.LOW)
    await room.send("b", 2)
    await room.send("c", 1, priority=Priority.HIGH)
    await room.send("a", 1, priority=Priority.INSTRUCTOR)
    await room.send("c", 1)
    assert await room.run_all() == ["A2", "C1", "B1", "B2", "C2", "A1"]


async def test_a_switch_of_the_discipline_holds_for_jobs_that_wait_already(room: Room) -> None:
    await room.send("a", 4)
    await room.send("b", 2, priority=Priority.HIGH)
    first = await room.run_all(limit=2)
    await room.jobs.set_discipline(Discipline.FIFO, room.now)
    second = await room.run_all(limit=1)
    await room.jobs.set_discipline(Discipline.PRIORITY, room.now)
    third = await room.run_all(limit=1)
    await room.jobs.set_discipline(Discipline.ROUND_ROBIN, room.now)
    assert first + second + third + await room.run_all() == ["A1", "B1", "A2", "B2", "A3", "A4"]


@pytest.mark.parametrize("discipline", Discipline)
async def test_run_next_overtakes_in_every_discipline(room: Room, discipline: Discipline) -> None:
    await room.jobs.set_discipline(discipline, room.now)
    await room.send("a", 2, priority=Priority.INSTRUCTOR)
    late = await room.send("b", 3, priority=Priority.LOW)
    await room.jobs.run_next(late[2], room.now)
    await room.jobs.run_next(late[1], room.now)
    assert (await room.run_all())[:2] == ["B3", "B2"]


async def test_a_running_job_counts_as_served(room: Room) -> None:
    await room.send("a", 2)
    assert room.names[await room.take() or ""] == "A1"
    await room.send("b", 1)
    await room.send("c", 1)
    assert [room.names[await room.take() or ""] for _ in range(3)] == ["B1", "C1", "A2"]


async def test_who_is_at_his_running_cap_waits_only_while_others_wait(room: Room) -> None:
    await room.send("a", 3)
    await room.send("b", 1)
    first = await room.take()
    assert [room.names[job or ""] for job in (first, await room.take(), await room.take())] == ["A1", "B1", "A2"]


async def test_the_running_cap_holds_in_fifo_too(room: Room) -> None:
    await room.jobs.set_discipline(Discipline.FIFO, room.now)
    await room.send("a", 3)
    await room.send("b", 1)
    assert [room.names[await room.take() or ""] for _ in range(3)] == ["A1", "B1", "A2"]


async def test_one_persons_own_running_cap_goes_before_the_rooms(room: Room) -> None:
    await room.jobs.set_discipline(Discipline.FIFO, room.now)
    await room.jobs.set_caps("a", None, 2, room.now)
    await room.send("a", 3)
    await room.send("b", 2)
    assert [room.names[await room.take() or ""] for _ in range(4)] == ["A1", "A2", "B1", "A3"]


async def test_a_full_line_refuses_and_says_why_and_a_start_makes_room(room: Room) -> None:
    await room.jobs.set_caps(None, 3, None, room.now)
    await room.send("a", 3)
    with pytest.raises(LimitReached, match="3 of your jobs are waiting and 3 may wait"):
        await room.send("a")
    await room.send("b")
    await room.take()
    await room.send("a")


async def test_nothing_is_handed_out_while_the_room_is_paused_or_drains(room: Room) -> None:
    await room.send("a", 2)
    await room.jobs.set_paused(True, room.now)
    assert await room.take() is None
    await room.send("b")
    await room.jobs.set_paused(False, room.now)
    await room.jobs.set_draining(True, room.now)
    assert await room.take() is None
    await room.jobs.set_draining(False, room.now)
    assert await room.run_all() == ["A1", "B1", "A2"]


async def test_a_new_session_forgets_who_was_served_when(room: Room) -> None:
    await room.send("a", 4)
    await room.run_all(limit=2)
    await room.send("b", 2)
    assert await room.run_all(limit=1) == ["B1"]
    await room.jobs.new_session(room.now)
    assert await room.run_all() == ["A3", "B2", "A4"]


async def test_an_expired_job_goes_to_the_front_of_its_owners_line_and_dies_the_third_time(room: Room) -> None:
    job, *_ = await room.send("a", 2)
    for attempt in (1, 2, 3):
        assert await room.take() == job
        record = await room.jobs.job(job)
        assert record is not None
        assert record.attempt == attempt
        room.now += 31_000
        assert await room.jobs.reap(room.now) == [job]
    dead = await room.jobs.job(job)
    assert dead is not None
    assert (dead.state, dead.error and dead.error.type) == (JobState.DEAD, "lease_expired")
    await room.jobs.requeue(job, room.now)
    assert await room.run_all() == ["A2", "A1"]


async def test_a_job_for_the_front_overtakes_its_owners_jobs_and_nobody_elses(room: Room) -> None:
    await room.jobs.set_discipline(Discipline.FIFO, room.now)
    await room.send("a", 1)
    await room.send("b", 1)
    await room.send("a", 1, front=True)
    assert await room.run_all() == ["B1", "A2", "A1"]


async def test_a_preempted_job_is_handed_back_and_runs_again_at_its_owners_next_turn(room: Room) -> None:
    await room.send("a", 2)
    await room.send("b", 1)
    job = await room.take() or ""
    await room.jobs.preempt(job, room.now)
    assert (await room.jobs.extend_lease(job, room.token(job), room.now, 30_000)).stop == "preempted"
    assert await room.jobs.cancelled(job, room.token(job), room.now) is JobState.QUEUED
    record = await room.jobs.job(job)
    assert record is not None
    assert record.attempt == 0
    assert await room.run_all() == ["B1", "A1", "A2"]


@pytest.mark.parametrize("workers", [1, 3])
async def test_nobody_waits_more_starts_than_there_are_other_people(room: Room, workers: int) -> None:
    """Per worker: between two starts of one person lie at most as many starts as there are other active people."""
    people = [f"p{number}" for number in range(9)]
    for number, name in enumerate(people):
        await room.send(name, 4 + number % 3)
    running: list[str] = []
    last_start: dict[str, int] = {}
    gaps: Counter[str] = Counter()
    starts = 0
    while (job := await room.take()) is not None:
        owner = room.owners[job]
        starts += 1
        if owner in last_start:
            gaps[owner] = max(gaps[owner], starts - last_start[owner] - 1)
        last_start[owner] = starts
        running.append(job)
        if len(running) == workers:
            await room.finish(running.pop(0))
    assert starts == sum(4 + number % 3 for number in range(9))
    assert max(gaps.values()) <= (len(people) - 1) * workers


async def run_with_models(room: Room, people: int, prefers_loaded: bool) -> tuple[int, int]:
    """One worker, every second person uses the other model; nobody's line gets empty.

    Answers the most starts between two of one person, and how often the worker had the model loaded already.
    """
    for number in range(people):
        await room.send(f"p{number}", 12, model=f"m{number % 2}")
    last_start: dict[str, int] = {}
    loaded, longest, hits = "m0", 0, 0
    for start in range(people * 8):
        job = await room.take(loaded=loaded if prefers_loaded else "") or ""
        owner = room.owners[job]
        model = f"m{int(owner[1:]) % 2}"
        hits, loaded = hits + (model == loaded), model
        longest = max(longest, start - last_start.get(owner, start) - 1)
        last_start[owner] = start
        await room.finish(job)
    return longest, hits


@pytest.mark.parametrize("people", [10, 20])
async def test_affinity_saves_model_changes_and_lengthens_no_wait_beyond_its_ceiling(room: Room, people: int) -> None:
    longest, hits = await run_with_models(room, people, prefers_loaded=True)
    assert longest <= people - 1 + overtaking_limit(people) <= 1.3 * (people - 1)
    assert hits > people * 8 / 4


async def test_who_was_overtaken_as_often_as_the_ceiling_allows_is_next(room: Room) -> None:
    await room.send("a", 2, model="other")
    for owner in "bcde":
        await room.send(owner, 2, model="loaded")
    assert await room.run_all(limit=7, loaded="loaded") == ["B1", "A1", "C1", "D1", "E1", "B2", "A2"]


async def test_affinity_leaves_a_small_room_in_its_order(room: Room) -> None:
    longest, hits = await run_with_models(room, 4, prefers_loaded=True)
    assert (longest, hits) == (3, 1)


def test_the_overtaking_limit_is_zero_in_small_rooms() -> None:
    assert [overtaking_limit(people) for people in (0, 1, 2, 4, 5, 10, 20)] == [0, 0, 0, 0, 1, 2, 5]
