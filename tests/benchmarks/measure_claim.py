"""Rows claim_*: what a fair claim costs Redis itself, at 100, 10,000 and 100,000 waiting jobs.

Server-side microseconds of the real script, called through the real repository, from Redis's command statistics. The
limit is the least script that takes turns; the peer is the way without an index: read the whole list, pick, remove.
"""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kit.clock import now_ms
from services.kit.redis_connection import RedisConnection
from services.queue_manager.repository import ANY_POOL, JobRepository, NewJob
from services.queue_manager.scripts import Scripts
from tests.benchmarks.bench import Bench
from tests.benchmarks.limits.intake import ENQUEUE, keys_of
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import redis_server
from tests.benchmarks.turns import Contestant, Sample, take_turns

CLAIM = (Path(__file__).parent / "limits" / "claim.lua").read_bytes()
BODY = json.dumps(
    {"workflow": {"1": {"class_type": "EmptyImage", "inputs": {}, "_meta": {"title": "t" * 1900}}}}
).encode()
"""2 KB; the size does not matter to the claim, whose script never touches the body."""
NO_CAP = 1_000_000
LEASE_MS = 30_000
AT_ONCE = 64
SCAN_TRIES = 3


@dataclass(frozen=True)
class Corner:
    """A size of the queue to measure at.

    The figure is the median over windows: another process's turn on the core spoils a window and not the figure.
    """

    name: str
    jobs: int
    people: int
    claims: int

    @property
    def window(self) -> int:
        """How many claims in a row, before the level is filled up again: never more than half the jobs."""
        return min(200, self.jobs // 2)


CORNERS = (
    Corner("claim_100", 100, 10, 2000),
    Corner("claim_10k", 10_000, 1000, 4000),
    Corner("claim_100k", 100_000, 10_000, 20_000),
)


async def measure(bench: Bench) -> list[Row]:
    """One row for each corner; a quick run leaves the largest out."""
    return [await _row(bench, corner) for corner in (CORNERS[:2] if bench.quick else CORNERS)]


async def _row(bench: Bench, corner: Corner) -> Row:
    contestants = dict(_contestants(corner))
    # A corner takes long to fill and the figure is CPU time inside Redis, which other work hardly moves: one round.
    medians = await take_turns(contestants, 1, lambda who: bench.report(f"{corner.name}: {who}"))
    ours = medians["ours"]
    return Row(
        name=corner.name,
        unit="us",
        better="lower",
        ours=ours["us"],
        peers={"list scan": medians["list scan"]["us"]},
        limit=medians["least script"]["us"],
        note=(
            f"{corner.jobs:,} jobs of {corner.people:,} people; our whole call p50 {ours['p50']:.2f} ms; "
            f"enqueue {ours['enqueue_us']:.0f} us; load {ours['load']:.1f}"
        ),
    )


def _contestants(corner: Corner) -> Iterator[tuple[str, Contestant]]:
    async def ours() -> Sample:
        with redis_server() as redis:
            async with _repository(redis.url) as (connection, jobs):
                return await _ours(connection, jobs, corner)

    async def least() -> Sample:
        with redis_server() as redis:
            return await _least(RedisConnection(redis.url), corner)

    async def scan() -> Sample:
        with redis_server() as redis:
            return await _scan(RedisConnection(redis.url), corner)

    yield "ours", ours
    yield "least script", least
    yield "list scan", scan


@asynccontextmanager
async def _repository(url: str) -> AsyncIterator[tuple[RedisConnection, JobRepository]]:
    connection = RedisConnection(url)
    jobs = JobRepository(connection, Scripts(connection))
    await jobs.set_caps(None, NO_CAP, NO_CAP, now_ms())
    try:
        yield connection, jobs
    finally:
        await connection.close()


async def _ours(connection: RedisConnection, jobs: JobRepository, corner: Corner) -> Sample:
    await connection.execute("CONFIG", "RESETSTAT")
    await _fill(jobs, corner, corner.jobs)
    enqueue_us = await _script_time(connection)
    windows, waits = [], []
    for turn in range(corner.claims // corner.window):
        if turn > 0:
            await _fill(jobs, corner, corner.window)
        await connection.execute("CONFIG", "RESETSTAT")
        leased = []
        for _ in range(corner.window):
            begun = time.monotonic()
            found = await jobs.lease("worker-0", [ANY_POOL], "", uuid.uuid4().hex, now_ms(), LEASE_MS)
            waits.append((time.monotonic() - begun) * 1e3)
            assert found is not None
            leased.append(found[0])
        windows.append(await _script_time(connection))
        for lease in leased:
            await jobs.complete(lease.job_id, lease.token, now_ms())
    return {"us": statistics.median(windows), "p50": statistics.median(waits), "enqueue_us": enqueue_us}


async def _fill(jobs: JobRepository, corner: Corner, count: int) -> None:
    turns = iter(range(count))

    async def submit() -> None:
        for turn in turns:
            await jobs.enqueue(_new_job(f"person-{turn % corner.people}"), now_ms())

    await asyncio.gather(*(submit() for _ in range(AT_ONCE)))


def _new_job(participant: str) -> NewJob:
    return NewJob(
        id=str(uuid.uuid4()), participant=participant, workflow=BODY, pool=ANY_POOL, kind="bench", model="", inputs=()
    )


async def _script_time(connection: RedisConnection) -> float:
    """Microseconds that a script call took inside Redis since the statistics were reset."""
    for line in (await connection.execute("INFO", "commandstats")).decode().splitlines():
        if line.startswith("cmdstat_evalsha:"):
            return float(dict(field.split("=") for field in line.split(":", 1)[1].split(","))["usec_per_call"])
    raise RuntimeError("no script has run since the statistics were reset")


async def _least(connection: RedisConnection, corner: Corner) -> Sample:
    enqueue = await connection.execute("SCRIPT", "LOAD", ENQUEUE)
    for turn in range(corner.jobs):
        job, owner = f"job-{turn}", f"person-{turn % corner.people}"
        await connection.execute("EVALSHA", enqueue, 4, *keys_of(job, owner), job, owner, now_ms())
    claim = await connection.execute("SCRIPT", "LOAD", CLAIM)
    keys = ["limit:round", "limit:leases", "limit:claims"]
    windows = []
    for _ in range(max(1, corner.jobs // 2 // corner.window)):
        await connection.execute("CONFIG", "RESETSTAT")
        for _ in range(corner.window):
            await connection.execute("EVALSHA", claim, 3, *keys, "limit:line:", "limit:job:", now_ms() + LEASE_MS)
        windows.append(await _script_time(connection))
    await connection.close()
    return {"us": statistics.median(windows)}


async def _scan(connection: RedisConnection, corner: Corner) -> Sample:
    """All of a claim's time, Python's share included, because without an index the choice is made there."""
    documents = (
        json.dumps({"owner": f"person-{n % corner.people}", "body": BODY.decode()}) for n in range(corner.jobs)
    )
    for document in documents:
        await connection.execute("RPUSH", "limit:list", document)
    waits = []
    served: dict[str, int] = {}
    for turn in range(SCAN_TRIES):
        begun = time.monotonic()
        waiting: list[tuple[bytes, dict[str, Any]]] = [
            (raw, json.loads(raw)) for raw in await connection.execute("LRANGE", "limit:list", 0, -1)
        ]
        raw, chosen = min(waiting, key=lambda item: served.get(item[1]["owner"], -1))
        await connection.execute("LREM", "limit:list", 1, raw)
        served[chosen["owner"]] = turn
        waits.append((time.monotonic() - begun) * 1e6)
    await connection.close()
    return {"us": sorted(waits)[len(waits) // 2]}
