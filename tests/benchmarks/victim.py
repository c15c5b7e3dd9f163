"""A worker for `measure_recovery`: leases one job, says its id, heartbeats for as long as it lives."""

import asyncio
import json
import os
import sys

from tests.benchmarks.room import BenchWorker, Room
from tests.benchmarks.servers import Server


async def live() -> None:
    """Hold one job until the process is killed."""
    room = Room(Server(os.getpid(), int(sys.argv[1])), json.loads(os.environ["BENCH_TOKENS"]))
    worker = await BenchWorker.register(room, int(sys.argv[2]))
    lease = await worker.lease()
    print(lease["job_id"], flush=True)
    while True:
        await worker.ask("POST", f"/api/leases/{lease['job_id']}/heartbeat?wait=1", b"", lease["token"])


if __name__ == "__main__":
    asyncio.run(live())
