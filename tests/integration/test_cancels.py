"""Cancels at random moments around start and finish: mine, now, once, and nobody else's."""

import asyncio
import random

import pytest

from services.domain.errors import LeaseLost
from services.domain.job import JobState
from services.queue_manager.repository import JobRepository
from tests.support.queue_invariants import broken_invariants
from tests.support.queue_room import LEASE_MS, Room
from tests.support.redis_server import RedisServer

CANCELS = 300


async def work(room: Room, outcomes: dict[str, JobState], started: list[str]) -> None:
    """A worker that does what it is told: asks between two moments of work whether to stop, reports in the end."""
    while (job := await room.take()) is not None:
        started.append(job)
        token, state = room.token(job), None
        for _ in range(3):
            await asyncio.sleep(0)
            if (await room.jobs.extend_lease(job, token, room.now, LEASE_MS)).stop == "cancelled":
                state = await room.jobs.cancelled(job, token, room.now)
                break
        outcomes[job] = state or await room.jobs.complete(job, token, room.now)


async def test_three_hundred_cancels_around_start_and_finish(jobs: JobRepository, redis_server: RedisServer) -> None:
    chance, room = random.Random(7), Room(jobs)
    await jobs.set_caps(None, 1000, 3, room.now)
    mine, foreign = await room.send("a", CANCELS), await room.send("b", 100)
    outcomes: dict[str, JobState] = {}
    started: list[str] = []
    answers: dict[str, JobState] = {}

    async def cancel_all() -> None:
        order = mine[:]
        chance.shuffle(order)
        order.sort(key=lambda job: mine.index(job) // 12)  # near the place where the workers are
        for job in order:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            answers[job] = await jobs.cancel(job, room.now)

    workers = [work(room, outcomes, started) for _ in range(3)]
    await asyncio.gather(cancel_all(), *workers)

    for job in mine:
        record = await jobs.job(job)
        assert record is not None
        assert record.state in (JobState.CANCELLED, JobState.SUCCEEDED)
        assert outcomes.get(job, JobState.CANCELLED) is record.state
        if answers[job] is JobState.CANCELLED:  # it was waiting, so it never starts
            assert job not in started
        if answers[job] is JobState.SUCCEEDED:  # too late
            assert outcomes[job] is JobState.SUCCEEDED
    assert JobState.CANCELLED in answers.values()
    assert {outcomes[job] for job in foreign} == {JobState.SUCCEEDED}
    assert len(started) == len(set(started))
    with redis_server.client() as client:
        assert broken_invariants(client) == []


async def test_a_cancelled_jobs_lease_still_reports_once_and_a_late_report_changes_nothing(jobs: JobRepository) -> None:
    room = Room(jobs)
    await room.send("a")
    job = await room.take() or ""
    assert await jobs.cancel(job, room.now) is JobState.RUNNING
    assert await jobs.cancelled(job, room.token(job), room.now) is JobState.CANCELLED
    assert await jobs.complete(job, room.token(job), room.now) is JobState.CANCELLED
    with pytest.raises(LeaseLost):
        await jobs.extend_lease(job, room.token(job), room.now, LEASE_MS)


async def test_a_running_job_whose_worker_dies_after_a_cancel_is_cancelled_by_the_reaper(jobs: JobRepository) -> None:
    room = Room(jobs)
    await room.send("a")
    job = await room.take() or ""
    await jobs.cancel(job, room.now)
    await jobs.reap(room.now + LEASE_MS + 1)
    record = await jobs.job(job)
    assert record is not None
    assert record.state is JobState.CANCELLED
