"""Measures one peer: `python -m tests.benchmarks.peers <peer> <dispatch|enqueue|noop> ...`, one JSON object on stdout.

The worker is a process of its own, started here for the measurements that need one and ended with it.
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.peer import PIPE_VARIABLE, STAMP, Peer

PEERS = {
    "taskiq": "TaskiqPeer",
    "saq": "SaqPeer",
    "celery": "CeleryPeer",
    "arq": "ArqPeer",
    "dramatiq": "DramatiqPeer",
}
WARM_UP_LIMIT_S = 30.0


def make_peer(name: str, redis_url: str) -> Peer:
    """Import one peer's module only: they must not slow each other down."""
    module = importlib.import_module(f"tests.benchmarks.peers.with_{name}")
    peer: Peer = getattr(module, PEERS[name])(redis_url)
    return peer


class StampReader:
    """The client's end of the pipe: moments (ns, monotonic) in the order in which jobs arrived at the worker."""

    def __init__(self, path: str) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._stamps: asyncio.Queue[int] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        data = os.read(self._descriptor, STAMP.size * 4096)
        for (moment,) in STAMP.iter_unpack(data):
            self._stamps.put_nowait(moment)

    async def next(self) -> int:
        return await self._stamps.get()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


@contextlib.contextmanager
def worker_process(arguments: argparse.Namespace, pipe: str) -> Iterator[None]:
    """Run the peer's worker beside us, pinned to its own core when there is more than one."""
    environment = {**os.environ, PIPE_VARIABLE: pipe}
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.peers",
        arguments.peer,
        "worker",
        "--redis-url",
        arguments.redis_url,
    ]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if arguments.worker_core is not None:
        os.sched_setaffinity(process.pid, {arguments.worker_core})
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def warm_up(peer: Peer, stamps: StampReader) -> None:
    """One job to the worker and back, and the pipe empty afterwards: from here on the worker is surely listening."""
    await peer.enqueue("warm")
    await asyncio.wait_for(stamps.next(), WARM_UP_LIMIT_S)
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(stamps.next(), 0.7)


async def measure_dispatch(peer: Peer, stamps: StampReader, payload: str, count: int) -> dict[str, Any]:
    """One job in flight at a time; ms from before the enqueue until the worker's function runs."""
    waits = []
    for _ in range(count):
        begun = time.monotonic_ns()
        await peer.enqueue(payload)
        waits.append((await asyncio.wait_for(stamps.next(), WARM_UP_LIMIT_S) - begun) / 1e6)
        await asyncio.sleep(0.004)
    waits.sort()
    return {"p50": statistics.median(waits), "p99": waits[int(len(waits) * 0.99) - 1], "count": count}


async def measure_enqueue(peer: Peer, payload: str, seconds: float, clients: int) -> dict[str, Any]:
    """`clients` coroutines hand in one job after the other, nobody takes them away; jobs a second, p50 in ms."""
    waits = []
    begun = time.monotonic()

    async def client() -> None:
        while (before := time.monotonic()) - begun < seconds:
            await peer.enqueue(payload)
            waits.append((time.monotonic() - before) * 1e3)

    await asyncio.gather(*(client() for _ in range(clients)))
    return {"per_second": len(waits) / (time.monotonic() - begun), "p50": statistics.median(waits)}


async def measure_noop(peer: Peer, stamps: StampReader, payload: str, count: int) -> dict[str, Any]:
    """Hand in `count` jobs, sixteen at a time, while one worker runs them; jobs a second until the last has run."""
    begun = time.monotonic()
    left = iter(range(count))

    async def hand_in() -> None:
        for _ in left:
            await peer.enqueue(payload)

    handing_in = asyncio.gather(*(hand_in() for _ in range(16)))
    for _ in range(count):
        await asyncio.wait_for(stamps.next(), WARM_UP_LIMIT_S)
    await handing_in
    return {"per_second": count / (time.monotonic() - begun), "count": count}


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Do the measurement that the command line names."""
    peer = make_peer(arguments.peer, arguments.redis_url)
    payload = "x" * arguments.bytes
    if arguments.verb == "enqueue":
        await peer.open()
        try:
            return await measure_enqueue(peer, payload, arguments.seconds, arguments.clients)
        finally:
            await peer.close()
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        pipe = str(Path(folder) / "stamps")
        stamps = StampReader(pipe)
        with worker_process(arguments, pipe):
            await peer.open()
            try:
                await warm_up(peer, stamps)
                if arguments.verb == "dispatch":
                    return await measure_dispatch(peer, stamps, payload, arguments.count)
                return await measure_noop(peer, stamps, payload, arguments.count)
            finally:
                await peer.close()
                stamps.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("verb", choices=["worker", "dispatch", "enqueue", "noop"])
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--bytes", type=int, default=2048)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--core", type=int, help="the core of this process")
    parser.add_argument("--worker-core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    if arguments.verb == "worker":
        make_peer(arguments.peer, arguments.redis_url).work()
        return
    print(json.dumps(asyncio.run(measure(arguments))))


if __name__ == "__main__":
    main()
