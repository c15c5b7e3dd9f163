"""The processes under test: Redis on the load's core, one server alone on its own core, everything gone afterwards."""

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.machine import cpu_us, load_core, pin, server_core
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for


@dataclass(frozen=True)
class Server:
    """A server under test."""

    pid: int
    port: int

    def cpu_us(self) -> float:
        """CPU time of all its threads so far, in microseconds."""
        return cpu_us(self.pid)


@contextlib.contextmanager
def redis_server(appendfsync: str = "everysec") -> Iterator[RedisServer]:
    """A fresh Redis with its append-only file, on the load's core.

    The file is not rewritten meanwhile: a rewrite would fall into one contestant's turn and not into another's.
    """
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        options = ["--appendfsync", appendfsync, "--auto-aof-rewrite-percentage", "0"]
        with RedisServer(Path(folder) / "redis", *options) as server:
            pin(server.pid, load_core())
            yield server


@contextlib.contextmanager
def limit_server(name: str, redis: RedisServer) -> Iterator[Server]:
    """One of the small servers of `limits`, alone on the server's core."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.limits", name, "--port", str(port)]
    process = subprocess.Popen([*command, "--redis-port", str(redis.port)])
    try:
        pin(process.pid, server_core())
        wait_for(lambda: _listens(port), f"{name} to listen")
        yield Server(process.pid, port)
    finally:
        process.kill()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
