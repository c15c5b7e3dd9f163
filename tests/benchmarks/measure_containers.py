"""Rows frontends_containers_*: twenty web UIs from zero in containers as the stack runs them.

Needs a Docker engine and takes minutes, because it builds the image first: `make bench` leaves it out, and
`python -m tests.benchmarks --only containers` measures it.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from infra.rehearsal.docker_engine import make_base, running_engine
from infra.rehearsal.machine_image import BASE
from services.local.runner import STARTING_AT_ONCE
from tests.benchmarks.bench import Bench
from tests.benchmarks.frontends import IDLE_SECONDS, NOBODY, answers, proportional_megabytes
from tests.benchmarks.machine import every_core
from tests.benchmarks.rows import Row
from tests.benchmarks.turns import Sample, take_turns
from tests.images.engine import HARDENED, Container, Network, build

PEOPLE = 20
PORT = 8188
LIMITS = (*HARDENED[:-1], "256m", "--memory-swap", "256m", "--cpus", "0.5", "--restart", "unless-stopped")
"""As the stack gives them to a web UI."""


async def measure(bench: Bench) -> list[Row]:
    """Start them all, weigh them, remove them."""
    bench.report("containers: building the image")
    with every_core(), _image() as image:
        medians = await take_turns(
            {"ours": lambda: _run(image)}, bench.rounds, lambda who: bench.report(f"containers: {who}")
        )
    found = medians["ours"]
    note = f"{STARTING_AT_ONCE} `docker run` at a time, limits as in the stack; load {found['load']:.1f}"
    figures = {
        "frontends_containers_ready_s_20": ("s", "all"),
        "first_frontend_container_ready_s": ("s", "first"),
        "frontends_containers_pss_mb_20": ("MB", "megabytes"),
    }
    return [
        Row(name=name, unit=unit, better="lower", ours=found[figure], note=note)
        for name, (unit, figure) in figures.items()
    ]


@contextmanager
def _image() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder, running_engine(Path(folder)):
        make_base(Path(folder), BASE)
        build("python")
        yield build("frontend")


@contextmanager
def _token_folder() -> Iterator[Path]:
    """A folder with a token that the containers' user may read."""
    with tempfile.TemporaryDirectory(prefix="bench-containers-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "token").write_text("cme_" + "0" * 43)
        yield folder


async def _run(image: str) -> Sample:
    with ExitStack() as stack, ThreadPoolExecutor(STARTING_AT_ONCE) as starters:
        folder = stack.enter_context(_token_folder())
        network = stack.enter_context(Network())
        loop, begun = asyncio.get_running_loop(), time.monotonic()
        containers = list[Container]()

        def start(number: int) -> str:
            container = stack.enter_context(_container(image, network, folder, number))
            containers.append(container)
            return container.address

        async def ready(number: int) -> float:
            address = await loop.run_in_executor(starters, start, number)
            while not await answers(PORT, "/system_stats", address):  # noqa: ASYNC110 - it says nothing by itself
                await asyncio.sleep(0.05)
            return time.monotonic() - begun

        waits = await asyncio.gather(*(ready(number) for number in range(PEOPLE)))
        await asyncio.sleep(IDLE_SECONDS)
        pids = [int(container.state["Pid"]) for container in containers]
        assert all(psutil.pid_exists(pid) for pid in pids), "the engine runs on another machine"
        return {"all": max(waits), "first": min(waits), "megabytes": proportional_megabytes(pids)}


def _container(image: str, network: Network, folder: Path, number: int) -> Container:
    settings = {
        "FRONTEND_PARTICIPANT": f"person-{number}", "FRONTEND_QUEUE_URL": NOBODY,
        "FRONTEND_TOKEN_FILE": "/etc/comfyume/token",
    }  # fmt: skip
    mounts = {folder / "token": "/etc/comfyume/token"}
    return Container(
        image, network=network, name=f"person-{number}", environment=settings, mounts=mounts, limits=LIMITS
    )
