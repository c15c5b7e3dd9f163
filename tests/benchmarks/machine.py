"""The machine under the measurements: which core is whose, CPU time as the scheduler counts it, what to note."""

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

NS_PER_US = 1000


def server_core() -> int:
    """The core on which the server under test is alone."""
    return min(_all_cores())


def load_core() -> int:
    """The core of the load generator and of Redis; the server's own where the machine has only one."""
    return max(_all_cores())


def _all_cores() -> set[int]:
    return set(range(os.cpu_count() or 1))


def pin(pid: int, core: int) -> None:
    """Put every thread of a process on one core; threads it starts later inherit it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_us(pid: int) -> float:
    """CPU time of a process so far, all threads, in microseconds: time on a core as the scheduler counted it."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        total += int((thread / "schedstat").read_text().split()[0])
    return total / NS_PER_US


def load_average() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def describe() -> str:
    """One line about machine and versions for the table's heading."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {platform.release()}, Python "
        f"{platform.python_version()}, Redis {redis.removeprefix('v=')}"
    )


def peers_python() -> Path | None:
    """The interpreter of the peers' environment beside the project; None where it was not made."""
    interpreter = Path(".venv-peers/bin/python").absolute()
    return interpreter if interpreter.exists() else None


def wrk() -> str | None:
    """Where the load generator wrk is; None where it is not installed."""
    return shutil.which("wrk")


@contextlib.contextmanager
def every_core() -> Iterator[None]:
    """Let this process, and what it starts meanwhile, use every core: for what is measured as a whole machine."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _all_cores())
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
