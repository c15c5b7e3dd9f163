"""Rows submit_*: a job handed in over HTTP, beside the libraries' enqueue without HTTP and two small servers."""

from collections.abc import Iterator

from tests.benchmarks.bench import Bench
from tests.benchmarks.load import generator, submit_load
from tests.benchmarks.machine import server_core
from tests.benchmarks.room import BenchWorker, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import Server, limit_server, redis_server
from tests.benchmarks.turns import Contestant, Sample, take_turns
from tests.benchmarks.workflows import KB, envelope

WARM_UP_SECONDS = 1.0
NOBODY = ["nobody"]


async def measure(bench: Bench) -> list[Row]:
    """Every size and number of clients; in a quick run 40 KB only."""
    sizes = [("40k", 40 * KB)] if bench.quick else [("40k", 40 * KB), ("2k", 2 * KB)]
    return [
        await _row(bench, f"submit_{label}_c{clients}", size, clients) for label, size in sizes for clients in (1, 64)
    ]


async def _row(bench: Bench, name: str, size: int, clients: int) -> Row:
    body = envelope(size)
    contestants = dict(_contestants(bench, body, size, clients))
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"{name}: {who}"))
    ours, limit = medians["ours"], medians["bare ASGI"]
    return Row(
        name=name,
        unit="jobs/s",
        better="higher",
        ours=ours["per_second"],
        peers={who: found["per_second"] for who, found in medians.items() if who not in ("ours", "bare ASGI")},
        limit=limit["per_second"],
        note=f"{_told('ours', ours)}; {_told('bare ASGI', limit)}; {generator()}, load {ours['load']:.1f}",
    )


def _told(who: str, found: Sample) -> str:
    spread = f"p50 {found['p50']:.2f}, p99 {found['p99']:.1f} ms"
    return f"{who}: {spread}, {found['cpu_us']:.0f} us CPU a job, {found['bad']:.0f} refused"


def _contestants(bench: Bench, body: bytes, size: int, clients: int) -> Iterator[tuple[str, Contestant]]:
    async def ours() -> Sample:
        with redis_server() as redis, queue_manager(redis) as room:
            worker = await BenchWorker.register(room)
            try:
                return await _load(room.server, room.participants, body, clients, bench.seconds)
            finally:
                worker.close()

    def small(name: str) -> Contestant:
        async def run() -> Sample:
            with redis_server() as redis, limit_server(name, redis) as server:
                return await _load(server, NOBODY, body, clients, bench.seconds)

        return run

    def library(name: str) -> Contestant:
        async def run() -> Sample:
            with redis_server() as redis:
                options = {"bytes": size, "clients": clients, "seconds": bench.seconds / 2}
                return await bench.peer(name, "enqueue", redis, server_core(), **options)

        return run

    yield "ours", ours
    yield "FastAPI raw", small("fastapi_raw")
    yield "bare ASGI", small("bare_asgi")
    for name in bench.peers:
        yield name, library(name)


async def _load(server: Server, tokens: list[str], body: bytes, clients: int, seconds: float) -> Sample:
    """Warm up, then measure; `cpu_us` is the server's CPU time for one job."""
    await submit_load(server.port, tokens, body, clients, WARM_UP_SECONDS)
    before = server.cpu_us()
    found = await submit_load(server.port, tokens, body, clients, seconds)
    cpu = server.cpu_us() - before
    return {**found, "per_second": found["count"] / found["seconds"], "cpu_us": cpu / max(1.0, found["count"])}
