"""What every measurement is given: how long, how often, which peers, and where to say what runs."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.machine import load_core, server_core
from tests.benchmarks.turns import Sample
from tests.support.redis_server import RedisServer

PEERS = ("taskiq", "saq", "celery", "arq", "dramatiq")
QUICK_PEERS = ("taskiq",)
PEER_LIMIT_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One run of the benchmarks. `peers_python` is None where the peers' environment is missing."""

    quick: bool
    rounds: int
    seconds: float
    peers_python: Path | None
    report: Callable[[str], None]

    @property
    def peers(self) -> tuple[str, ...]:
        """The peers that this run measures."""
        if self.peers_python is None:
            return ()
        return QUICK_PEERS if self.quick else PEERS

    async def peer(self, name: str, verb: str, redis: RedisServer, client_core: int, **options: float) -> Sample:
        """Run one measurement of one peer; its client on `client_core`, its worker on the server's core."""
        command = [str(self.peers_python), "-m", "tests.benchmarks.peers", name, verb, "--redis-url", redis.url]
        command += ["--core", str(client_core), "--worker-core", str(server_core())]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            output, complaint = await asyncio.wait_for(process.communicate(), PEER_LIMIT_SECONDS)
        except TimeoutError:
            process.kill()
            raise
        if process.returncode != 0:
            raise RuntimeError(f"{name} could not be measured: {complaint.decode()[-2000:]}")
        found: Sample = json.loads(output.decode().strip().splitlines()[-1])
        return found


def stay_on_load_core() -> None:
    """Put this process, the load generator, on the core that the servers do not use."""
    os.sched_setaffinity(0, {load_core()})
