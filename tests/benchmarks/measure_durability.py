"""What the choice of `appendfsync` costs: the same submits, synced every second and at every write."""

from tests.benchmarks.bench import Bench
from tests.benchmarks.load import submit_load
from tests.benchmarks.room import BenchWorker, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import redis_server
from tests.benchmarks.turns import Contestant, Sample, take_turns
from tests.benchmarks.workflows import KB, envelope

SETTINGS = ("everysec", "always")


async def measure(bench: Bench) -> list[Row]:
    """One row for each number of clients; `ours` is what `make up` sets; the other rows have `everysec`."""
    return [await _row(bench, clients) for clients in (1, 64)]


async def _row(bench: Bench, clients: int) -> Row:
    name = f"fsync_40k_c{clients}"
    contestants = {setting: _submits(setting, clients, bench.seconds) for setting in SETTINGS}
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"{name}: {who}"))
    everysec, always = medians["everysec"], medians["always"]
    return Row(
        name=name,
        unit="jobs/s",
        better="higher",
        ours=always["per_second"],
        peers={"appendfsync everysec": everysec["per_second"]},
        note=f"p50 always {always['p50']:.2f} ms, everysec {everysec['p50']:.2f} ms",
    )


def _submits(appendfsync: str, clients: int, seconds: float) -> Contestant:
    async def run() -> Sample:
        with redis_server(appendfsync) as redis, queue_manager(redis) as room:
            worker = await BenchWorker.register(room)
            found = await submit_load(room.server.port, room.participants, envelope(40 * KB), clients, seconds)
            worker.close()
            return {**found, "per_second": found["count"] / found["seconds"]}

    return run
