"""Rows door_share_*: what nginx adds to a submit, by size of the body, beside the same with default body buffers."""

import contextlib
import os
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import SecretStr

from services.domain.front_door import FrontDoor, WorkspaceAddress
from tests.benchmarks.bench import Bench
from tests.benchmarks.machine import cpu_us, pin, server_core
from tests.benchmarks.room import BenchWorker, Room, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import redis_server
from tests.benchmarks.turns import Contestant, Sample, percentile, take_turns
from tests.benchmarks.wire import HttpConnection, http_request
from tests.benchmarks.workflows import KB, envelope
from tests.support.front_door import FrontDoorProcess, make_certificate
from tests.support.ports import free_port

SIZES = (2, 12, 40, 200)
QUICK_SIZES = (12, 40)
WARM_UP_REQUESTS = 50
OURS = ("client_body_buffer_size 256k;", "proxy_request_buffering off;")
"""What makes the difference between our configuration and nginx's default body buffers."""


@dataclass(frozen=True)
class Door:
    """A running nginx in front of the queue manager."""

    port: int
    trust: ssl.SSLContext
    pids: list[int]

    def cpu_us(self) -> float:
        """CPU time of all its processes so far, in microseconds."""
        return sum(cpu_us(pid) for pid in self.pids)


async def measure(bench: Bench) -> list[Row]:
    """One row a size: the median of one client's submits through the door, less that of submits past it."""
    return [await _row(bench, size) for size in (QUICK_SIZES if bench.quick else SIZES)]


async def _row(bench: Bench, size: int) -> Row:
    name = f"door_share_{size}k_p50"
    contestants = {
        "past the door": _submits(bench, size, None),
        "ours": _submits(bench, size, ()),
        "default body buffers": _submits(bench, size, OURS),
    }
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"{name}: {who}"))
    past, ours, defaults = medians.values()
    return Row(
        name=name,
        unit="ms",
        better="lower",
        ours=ours["p50"] - past["p50"],
        peers={"default body buffers": defaults["p50"] - past["p50"]},
        note=f"p50 through {ours['p50']:.2f}, past {past['p50']:.2f} ms, p99 {ours['p99']:.1f}, {past['p99']:.1f} ms; "
        f"nginx {ours['cpu_us']:.0f} us CPU a job, TLS among it; load {ours['load']:.1f}",
    )


def _submits(bench: Bench, size: int, left_out: tuple[str, ...] | None) -> Contestant:
    """Submits of one client; through nginx without some of our settings, or past it (None)."""

    async def run() -> Sample:
        with redis_server() as redis, queue_manager(redis) as room:
            worker = await BenchWorker.register(room)
            try:
                if left_out is None:
                    return await _load(room, await HttpConnection.connect(room.server.port), size, bench.seconds, None)
                with _front_door(room, left_out) as door:
                    connection = await HttpConnection.connect(door.port, door.trust)
                    return await _load(room, connection, size, bench.seconds, door)
            finally:
                worker.close()

    return run


async def _load(room: Room, connection: HttpConnection, size: int, seconds: float, door: Door | None) -> Sample:
    requests = [http_request("POST", "/api/jobs", token, envelope(size * KB)) for token in room.participants]
    for turn in range(WARM_UP_REQUESTS):
        await connection.ask(requests[turn % len(requests)])
    waits, end = list[float](), time.monotonic() + seconds
    cpu_before = door.cpu_us() if door else 0.0
    while (before := time.monotonic()) < end:
        status, body = await connection.ask(requests[len(waits) % len(requests)])
        waits.append((time.monotonic() - before) * 1e3)
        if status >= 400:
            raise RuntimeError(f"a submit was refused with {status}: {body.decode(errors='replace')[:300]}")
    cpu = (door.cpu_us() if door else 0.0) - cpu_before
    connection.close()
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "cpu_us": cpu / len(waits)}


@contextlib.contextmanager
def _front_door(room: Room, left_out: tuple[str, ...]) -> Iterator[Door]:
    with tempfile.TemporaryDirectory(prefix="bench-door-") as name:
        folder = Path(name)
        certificate, key = make_certificate(folder)
        settings = FrontDoor(
            http_port=free_port(), https_port=free_port(), listen="127.0.0.1", certificate=certificate,
            certificate_key=key, run_dir=folder, auth=f"127.0.0.1:{free_port()}",
            queue_manager=f"127.0.0.1:{room.server.port}", door_secret=SecretStr("door"),
            workspaces=[WorkspaceAddress(name="nobody", address="127.0.0.1:9")],
            user="root" if os.geteuid() == 0 else None,
        )  # fmt: skip
        process = FrontDoorProcess(settings, folder)
        configuration = folder / "nginx.conf"
        text = configuration.read_text()
        for line in left_out:
            assert line in text, f"the template no longer says {line}"
            text = text.replace(line, "")
        configuration.write_text(text)
        with process:
            master = psutil.Process(int((folder / "nginx.pid").read_text()))
            pids = [master.pid, *(worker.pid for worker in master.children())]
            for pid in pids:
                pin(pid, server_core())
            yield Door(settings.https_port, process.trust, pids)
