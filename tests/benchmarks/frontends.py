"""Twenty web UIs from zero: started as the local workshop starts them, asked until each answers, weighed when idle."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from services.local.runner import STARTING_AT_ONCE
from tests.benchmarks.machine import every_core
from tests.support.ports import free_ports

LIMIT_SECONDS = 300
ASK_SECONDS = 0.02
IDLE_SECONDS = 2.0
"""Between the last answer and the scales: what the start needed and no longer needs is given back by then."""

NOBODY = "http://127.0.0.1:9"
"""A queue manager that does not answer: a web UI is ready without it."""


class Fleet:
    """So many web UI processes; a context manager that ends them all."""

    def __init__(self, count: int, folder: Path) -> None:
        self._count = count
        self._folder = folder
        self._first_port = free_ports(count)
        self._processes: list[subprocess.Popen[bytes]] = []
        (folder / "token").write_text("cme_" + "0" * 43)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(60)

    async def start(self) -> list[float]:
        """Start them, some at a time; seconds from the first start until each answered, in the order of the answers."""
        begun, answered, starting = time.monotonic(), list[float](), set[int]()
        while len(answered) < self._count:
            if time.monotonic() - begun > LIMIT_SECONDS:
                raise TimeoutError(f"after {LIMIT_SECONDS} s only {len(answered)} web UIs of {self._count} answered")
            while len(starting) < STARTING_AT_ONCE and len(self._processes) < self._count:
                starting.add(len(self._processes))
                self._processes.append(self._launch(len(self._processes)))
            for number in list(starting):
                if await answers(self._first_port + number, "/system_stats"):
                    answered.append(time.monotonic() - begun)
                    starting.remove(number)
            await asyncio.sleep(ASK_SECONDS)
        return answered

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        settings = {
            "PARTICIPANT": f"person-{number}", "QUEUE_URL": NOBODY, "TOKEN_FILE": str(self._folder / "token"),
            "DATA_DIR": str(self._folder / str(number)), "PORT": str(self._first_port + number),
        }  # fmt: skip
        # Compiled files are what an installation has; without them every start compiles the service anew.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        (self._folder / str(number)).mkdir()
        return subprocess.Popen(
            [sys.executable, "-m", "services.frontend"],
            env=environment | {f"FRONTEND_{name}": value for name, value in settings.items()},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def megabytes(self) -> float:
        """Proportional memory of all of them."""
        return proportional_megabytes([process.pid for process in self._processes])


def proportional_megabytes(pids: list[int]) -> float:
    """PSS of the processes and their children: pages that several share count once in all."""
    processes = [one for pid in pids for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return float(sum(process.memory_full_info().pss for process in processes)) / 1e6


async def answers(port: int, path: str, host: str = "127.0.0.1") -> bool:
    """Whether a GET is answered with 200 at once."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False


@contextlib.contextmanager
def fleet(count: int) -> Iterator[Fleet]:
    """A fleet in a folder of its own, allowed on every core."""
    with every_core(), tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder, Fleet(count, Path(folder)) as one:
        yield one
