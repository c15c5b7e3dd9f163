"""What an operation costs does not grow with the queue: the same commands at 100, 10,000 and 100,000 waiting jobs."""

import asyncio
import time
from typing import Any

import pytest

from services.kit.redis_connection import RedisConnection
from services.queue_manager.repository import JobRepository, NewJob
from services.queue_manager.scripts import Limits, Scripts
from tests.support.queue_room import LEASE_MS, Room
from tests.support.redis_server import RedisServer

FORBIDDEN = ("keys", "scan", "sscan", "hscan", "zscan", "smembers", "lrange", "hgetall", "hkeys", "sort")
"""Commands whose cost is the length of what they read; a claim, an enqueue and an end need none of them."""


@pytest.fixture
def wide_jobs(redis: RedisConnection) -> JobRepository:
    """A repository in which one person may have 10,000 jobs waiting."""
    return JobRepository(redis, Scripts(redis, Limits(waiting_cap=10_000)))


async def fill(jobs: JobRepository, people: int, waiting: int, first: int = 0) -> None:
    """Let `people` participants have `waiting` jobs between them, from the `first` participant on."""
    each = waiting // people
    for start in range(first, people, 100):
        batches = [
            [_small_job(f"p{owner}", owner * each + number) for number in range(each)]
            for owner in range(start, min(start + 100, people))
        ]
        await asyncio.gather(*[jobs.enqueue_batch(batch, 1) for batch in batches])


def _small_job(owner: str, number: int) -> NewJob:
    return NewJob(id=f"00000000-0000-4000-8000-{number:012d}", participant=owner, workflow=b"{}")


async def counted(client: Any, work: Any) -> dict[str, int]:
    """The commands that Redis executes for a piece of work, by name, inner ones of scripts included."""
    client.config_resetstat()
    await work
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}
    return {name: count for name, count in calls.items() if name not in ("config|resetstat", "info")}


async def one_of_each(room: Room, client: Any) -> dict[str, dict[str, int]]:
    """The commands of an enqueue, a lease, a heartbeat, an end and a cancel."""

    async def take() -> None:
        leased.append(await room.take() or "")

    cost: dict[str, dict[str, int]] = {}
    leased: list[str] = []
    for _ in range(2):  # the second round counts: scripts are loaded and counters exist
        (kept,) = await room.send("p1")
        cost["enqueue"] = await counted(client, room.send("p1"))
        cost["lease"] = await counted(client, take())
        job = leased[-1]
        beat = room.jobs.extend_lease(job, room.token(job), room.now, LEASE_MS)
        cost["heartbeat"] = await counted(client, beat)
        cost["complete"] = await counted(client, room.finish(job, run_ms=5))
        cost["cancel"] = await counted(client, room.jobs.cancel(kept, room.now))
    return cost


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_operation_executes_the_same_commands_whatever_the_length_of_the_queue(
    wide_jobs: JobRepository, redis_server: RedisServer
) -> None:
    with redis_server.client() as client:
        costs = {}
        client.config_set("slowlog-log-slower-than", 20_000)
        for people, waiting in ((10, 100), (1_000, 10_000), (10_000, 100_000)):
            client.flushall()
            started = time.monotonic()
            await fill(wide_jobs, min(people, 1_000), min(waiting, 10_000))
            if people > 1_000:  # a slow machine gets a shorter queue, which is still three times the one before
                is_slow = time.monotonic() - started > 2
                await fill(wide_jobs, *((3_000, 30_000) if is_slow else (people, waiting)), first=1_000)
            client.slowlog_reset()
            costs[waiting] = await one_of_each(Room(wide_jobs), client)
            slow = [entry["command"].split()[0].decode().lower() for entry in client.slowlog_get(50)]
            assert not set(slow) & set(FORBIDDEN)
        for operation in ("enqueue", "lease", "heartbeat", "complete", "cancel"):
            assert costs[100][operation] == costs[10_000][operation] == costs[100_000][operation], operation
            assert not set(costs[100][operation]) & set(FORBIDDEN), operation
        assert sum(costs[100]["lease"].values()) <= 14
        client.config_set("slowlog-log-slower-than", 10_000)
        client.flushall()


async def test_the_place_of_a_job_looks_at_sixty_four_people_at_most(
    wide_jobs: JobRepository, redis_server: RedisServer
) -> None:
    await fill(wide_jobs, 200, 4_000)
    with redis_server.client() as client:
        cost = await counted(client, wide_jobs.place("00000000-0000-4000-8000-000000003999", 1))
        assert sum(cost.values()) < 100
        place = await wide_jobs.place("00000000-0000-4000-8000-000000003999", 1)
    assert place is not None
    assert place.position == 3_999


async def test_a_waiting_job_of_forty_kilobytes_takes_less_than_1_3_times_its_size(
    jobs: JobRepository, redis_server: RedisServer
) -> None:
    room = Room(jobs)
    workflow = b'{"workflow":' + b"x" * (40 * 1024 - 13) + b"}"
    with redis_server.client() as client:
        await room.send("p0", workflow=workflow)
        before = client.info("memory")["used_memory_dataset"]
        count = 300
        for number in range(count):
            await room.send(f"p{number % 20}", workflow=workflow, label="a label", client_id="c" * 36)
        per_job = (client.info("memory")["used_memory_dataset"] - before) / count
    assert per_job < 1.3 * len(workflow)
