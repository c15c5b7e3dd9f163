"""Row recovery_s: a worker is killed with SIGKILL in the middle of a job; how long until another worker has that job.

The peers' figures are the ones measured once for the project, with the libraries' own defaults or the shortest setting
that brings the job back at all; they take minutes each, so they are not measured again here.
"""

import asyncio
import json
import os
import signal
import sys
import time

from tests.benchmarks.bench import Bench
from tests.benchmarks.room import BenchWorker, Room, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import redis_server
from tests.benchmarks.turns import percentile
from tests.benchmarks.wire import HttpConnection, http_request
from tests.benchmarks.workflows import KB, envelope

PEERS_SECONDS = {
    "saq (retries=3)": 65.0,
    "dramatiq": 84.0,
    "celery (acks_late, visibility 60 s)": 90.0,
    "arq": 308.0,
    "taskiq (streams)": 602.0,
}
DEATHS = 3
LEASE_SECONDS = 25.0
"""As the queue manager's own setting."""
QUICK_LEASE_SECONDS = 2.0


async def measure(bench: Bench) -> list[Row]:
    """Three workers die at once with a job each; one other worker takes the jobs as they come back."""
    lease_seconds = QUICK_LEASE_SECONDS if bench.quick else LEASE_SECONDS
    bench.report(f"recovery_s: ours, leases of {lease_seconds:.0f} s")
    with redis_server() as redis, queue_manager(redis, lease_seconds=lease_seconds) as room:
        waits = await _deaths(room)
    row = Row(
        name="recovery_s",
        unit="s",
        better="lower",
        ours=percentile(waits, 0.5),
        peers=PEERS_SECONDS,
        limit=lease_seconds,
        note=f"lease {lease_seconds:.0f} s, {DEATHS} deaths, longest {max(waits):.1f} s; peers as measured once before",
    )
    return [row]


async def _deaths(room: Room) -> list[float]:
    successor = await BenchWorker.register(room, DEATHS)
    participant = await HttpConnection.connect(room.server.port)
    for token in room.participants[:DEATHS]:
        await participant.ask(http_request("POST", "/api/jobs", token, envelope(2 * KB)))
    victims = [await _victim(room, number) for number in range(DEATHS)]
    for process, _ in victims:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    died = time.monotonic()
    waits = []
    expected = {job for _, job in victims}
    while expected:
        lease = await successor.lease()
        waits.append(time.monotonic() - died)
        expected.remove(lease["job_id"])
        await successor.complete(lease)
    participant.close()
    successor.close()
    return waits


async def _victim(room: Room, number: int) -> tuple[asyncio.subprocess.Process, str]:
    """A worker process that has just leased a job (its id) and then does nothing more than hold it."""
    command = [sys.executable, "-m", "tests.benchmarks.victim", str(room.server.port), str(number)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "BENCH_TOKENS": json.dumps(room.tokens)}
    )
    assert process.stdout is not None
    return process, (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
