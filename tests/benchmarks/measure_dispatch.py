"""Rows dispatch_*: from the submit until a worker has the job.

Ours goes through HTTP both ways; the peers and the limit stand directly on Redis.
"""

import asyncio
import time
from collections.abc import Iterator

from redis.asyncio import Redis

from tests.benchmarks.bench import Bench
from tests.benchmarks.machine import load_core
from tests.benchmarks.room import BenchWorker, Room, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import redis_server
from tests.benchmarks.turns import Contestant, Sample, percentile, take_turns
from tests.benchmarks.wire import HttpConnection, http_request
from tests.benchmarks.workflows import KB, envelope

PAUSE_SECONDS = 0.004
"""Between two jobs, so that the worker's next request is surely parked before the submit."""
SLOW_PEERS = ("arq",)
"""Peers whose wait is a poll of half a second: a tenth of the jobs says as much."""


async def measure(bench: Bench) -> list[Row]:
    """Both sizes of the dispatch, then the no-op jobs."""
    return [
        await _row(bench, "dispatch_2k_p50", 2 * KB),
        await _row(bench, "dispatch_40k_p50", 40 * KB),
    ]


async def _row(bench: Bench, name: str, size: int) -> Row:
    contestants = dict(_contestants(bench, size))
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"{name}: {who}"))
    ours, limit = medians["ours"], medians["BRPOP"]
    return Row(
        name=name,
        unit="ms",
        better="lower",
        ours=ours["p50"],
        peers={who: found["p50"] for who, found in medians.items() if who not in ("ours", "BRPOP")},
        limit=limit["p50"],
        note=f"ours p99 {ours['p99']:.1f} ms, limit (BRPOP) p99 {limit['p99']:.1f} ms; load {ours['load']:.1f}",
    )


def _contestants(bench: Bench, size: int) -> Iterator[tuple[str, Contestant]]:
    count = 50 if bench.quick else 200

    async def ours() -> Sample:
        with redis_server() as redis, queue_manager(redis) as room:
            return await _ours(room, envelope(size), count)

    async def limit() -> Sample:
        with redis_server() as redis:
            return await _brpop(redis.port, b"x" * size, count)

    def library(name: str) -> Contestant:
        async def run() -> Sample:
            with redis_server() as redis:
                jobs = count // 10 if name in SLOW_PEERS else count
                return await bench.peer(name, "dispatch", redis, load_core(), bytes=size, count=jobs)

        return run

    yield "ours", ours
    yield "BRPOP", limit
    for name in bench.peers:
        yield name, library(name)


async def _ours(room: Room, body: bytes, count: int) -> Sample:
    """One job in flight: the worker's request is parked, then the job comes in; ms from before the submit."""
    worker = await BenchWorker.register(room)
    participant = await HttpConnection.connect(room.server.port)
    requests = [http_request("POST", "/api/jobs", token, body) for token in room.participants]
    waits = []
    for turn in range(count + 20):
        leasing = asyncio.create_task(_leased(worker))
        await asyncio.sleep(PAUSE_SECONDS)
        begun = time.monotonic_ns()
        status, answer = await participant.ask(requests[turn % len(requests)])
        if status != 202:
            raise RuntimeError(f"a submit was refused with {status}: {answer.decode(errors='replace')[:500]}")
        moment, lease = await leasing
        waits.append((moment - begun) / 1e6)
        await worker.complete(lease)
    participant.close()
    worker.close()
    return _spread(waits[20:])


async def _leased(worker: BenchWorker) -> tuple[int, dict[str, str]]:
    lease = await worker.lease()
    return time.monotonic_ns(), lease


async def _brpop(port: int, body: bytes, count: int) -> Sample:
    """The least: a list, one pusher and one blocked popper, both redis-py."""
    pusher: Redis = Redis(port=port)
    popper: Redis = Redis(port=port)

    async def pop() -> int:
        await popper.brpop(["limit:line"])
        return time.monotonic_ns()

    waits = []
    for _ in range(count + 20):
        popping = asyncio.create_task(pop())
        await asyncio.sleep(PAUSE_SECONDS)
        begun = time.monotonic_ns()
        await pusher.lpush("limit:line", body)
        waits.append((await popping - begun) / 1e6)
    await pusher.aclose()
    await popper.aclose()
    return _spread(waits[20:])


def _spread(waits: list[float]) -> Sample:
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99)}
