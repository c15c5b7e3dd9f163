"""Row noop_jobs_per_s: whole jobs without work in them, handed in, given out and ended, as many as go through.

Ours goes through HTTP at each step; the peers and the limit stand directly on Redis.
"""

import asyncio
import time
from collections.abc import Iterator

from redis.asyncio import Redis

from tests.benchmarks.bench import Bench
from tests.benchmarks.machine import load_core
from tests.benchmarks.room import WORKERS, BenchWorker, Room, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import redis_server
from tests.benchmarks.turns import Contestant, Sample, take_turns
from tests.benchmarks.wire import HttpConnection, http_request
from tests.benchmarks.workflows import KB, envelope

SUBMITTERS = 16


async def measure(bench: Bench) -> list[Row]:
    """Jobs of 2 KB through their whole life."""
    contestants = dict(_contestants(bench))
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"noop_jobs_per_s: {who}"))
    ours, limit = medians["ours"], medians["BRPOP"]
    row = Row(
        name="noop_jobs_per_s",
        unit="jobs/s",
        better="higher",
        ours=ours["per_second"],
        peers={who: found["per_second"] for who, found in medians.items() if who not in ("ours", "BRPOP")},
        limit=limit["per_second"],
        note=f"2 KB; ours: submit, lease and complete over HTTP, {WORKERS} workers; load {ours['load']:.1f}",
    )
    return [row]


def _contestants(bench: Bench) -> Iterator[tuple[str, Contestant]]:
    count = 300 if bench.quick else 2000

    async def ours() -> Sample:
        with redis_server() as redis, queue_manager(redis) as room:
            return await _ours(room, envelope(2 * KB), count)

    async def limit() -> Sample:
        with redis_server() as redis:
            return await _brpop(redis.port, b"x" * (2 * KB), count)

    def library(name: str) -> Contestant:
        async def run() -> Sample:
            with redis_server() as redis:
                return await bench.peer(name, "noop", redis, load_core(), bytes=2 * KB, count=count)

        return run

    yield "ours", ours
    yield "BRPOP", limit
    for name in bench.peers:
        yield name, library(name)


async def _ours(room: Room, body: bytes, count: int) -> Sample:
    """Sixteen submitters and eight workers at once; until the last job is complete."""
    workers = [await BenchWorker.register(room, number) for number in range(WORKERS)]
    submitters = [await HttpConnection.connect(room.server.port) for _ in range(SUBMITTERS)]
    requests = [http_request("POST", "/api/jobs", token, body) for token in room.participants]
    turns = iter(range(count))
    done = asyncio.Semaphore(0)

    async def submit(connection: HttpConnection) -> None:
        for turn in turns:
            status, answer = await connection.ask(requests[turn % len(requests)])
            if status != 202:
                raise RuntimeError(f"a submit was refused with {status}: {answer.decode(errors='replace')[:500]}")

    async def work(worker: BenchWorker) -> None:
        while True:
            await worker.complete(await worker.lease())
            done.release()

    begun = time.monotonic()
    working = [asyncio.create_task(work(worker)) for worker in workers]
    await asyncio.gather(*(submit(connection) for connection in submitters))
    for _ in range(count):
        await done.acquire()
    seconds = time.monotonic() - begun
    for task in working:
        task.cancel()
    for worker in workers:
        worker.close()
    for connection in submitters:
        connection.close()
    return {"per_second": count / seconds}


async def _brpop(port: int, body: bytes, count: int) -> Sample:
    """The least: sixteen pushers, one popper, nothing recorded."""
    redis: Redis = Redis(port=port)
    turns = iter(range(count))

    async def push() -> None:
        for _ in turns:
            await redis.lpush("limit:line", body)

    begun = time.monotonic()
    pushing = asyncio.gather(*(push() for _ in range(SUBMITTERS)))
    for _ in range(count):
        await redis.brpop(["limit:line"])
    await pushing
    seconds = time.monotonic() - begun
    await redis.aclose()
    return {"per_second": count / seconds}
