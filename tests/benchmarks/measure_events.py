"""Rows event_*: from the worker's POST of an event until a viewer's socket has it.

Ours is the whole way: HTTP from the worker, the stream in Redis, a WebSocket of the queue manager. The peer and the
limit begin at a PUBLISH, so they are spared the worker's request and the stream.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator

from redis.asyncio import Redis

from tests.benchmarks.bench import Bench
from tests.benchmarks.limits.broadcast import CHANNEL
from tests.benchmarks.room import BenchWorker, queue_manager
from tests.benchmarks.rows import Row
from tests.benchmarks.servers import limit_server, redis_server
from tests.benchmarks.turns import Contestant, Sample, percentile, take_turns
from tests.benchmarks.wire import HttpConnection, Viewer, http_request
from tests.benchmarks.workflows import KB, envelope
from tests.support.wait import wait_until

EVENTS_A_SECOND = 10
PADDING = "p" * 120
"""Brings an event to about 250 bytes, as ComfyUI's progress messages are."""
NUMBER = re.compile(rb'"value":\s*(\d+)')


async def measure(bench: Bench) -> list[Row]:
    """Twenty viewers and two hundred."""
    return [await _row(bench, f"event_p50_{viewers}", viewers) for viewers in (20, 200)]


async def _row(bench: Bench, name: str, viewers: int) -> Row:
    contestants = dict(_contestants(bench, viewers))
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"{name}: {who}"))
    ours, peer, limit = medians["ours"], medians["websockets broadcast"], medians["raw frames"]
    return Row(
        name=name,
        unit="ms",
        better="lower",
        ours=ours["p50"],
        peers={"websockets broadcast": peer["p50"]},
        limit=limit["p50"],
        note=(
            f"p99 ours {ours['p99']:.1f}, peer {peer['p99']:.1f}, raw frames {limit['p99']:.1f} ms; "
            f"CPU us a delivery {ours['cpu_us']:.0f}, {peer['cpu_us']:.0f}, {limit['cpu_us']:.0f}; "
            f"load {ours['load']:.1f}"
        ),
    )


def _contestants(bench: Bench, viewers: int) -> Iterator[tuple[str, Contestant]]:
    events = EVENTS_A_SECOND * (1 if bench.quick else 4)

    async def ours() -> Sample:
        with redis_server() as redis, queue_manager(redis) as room:
            worker = await BenchWorker.register(room)
            token = room.participants[0]
            sockets = [await Viewer.connect(room.server.port, "/api/events/ws", token) for _ in range(viewers)]
            connection = await HttpConnection.connect(room.server.port)
            await connection.ask(http_request("POST", "/api/jobs", token, envelope(2 * KB)))
            lease = await worker.lease()

            async def tell(message: bytes) -> None:
                await worker.ask("POST", f"/api/leases/{lease['job_id']}/events", b"[" + message + b"]", lease["token"])

            return await _watch(sockets, tell, events, room.server.cpu_us)

    def small(name: str) -> Contestant:
        async def run() -> Sample:
            with redis_server() as redis, limit_server(name, redis) as server:
                sockets = [await Viewer.connect(server.port, "/", "") for _ in range(viewers)]
                publisher: Redis = Redis(port=redis.port)

                async def tell(message: bytes) -> None:
                    await publisher.publish(CHANNEL, message)

                try:
                    return await _watch(sockets, tell, events, server.cpu_us)
                finally:
                    await publisher.aclose()

        return run

    yield "ours", ours
    yield "websockets broadcast", small("broadcast")
    yield "raw frames", small("raw_frames")


async def _watch(
    sockets: list[Viewer], tell: Callable[[bytes], Awaitable[None]], events: int, cpu_us: Callable[[], float]
) -> Sample:
    """Send numbered events at their pace; p50 and p99 in ms over all deliveries. Raises when one was lost."""
    sent: dict[int, int] = {}
    await tell(_message(0))
    await wait_until(lambda: all(_numbers(socket) for socket in sockets), "the first event at every viewer")
    before = cpu_us()
    for number in range(1, events + 1):
        sent[number] = time.monotonic_ns()
        await tell(_message(number))
        await asyncio.sleep(max(0.0, 1 / EVENTS_A_SECOND - (time.monotonic_ns() - sent[number]) / 1e9))
    await wait_until(lambda: all(len(_numbers(socket)) > events for socket in sockets), "every event at every viewer")
    cpu = cpu_us() - before
    waits = [
        (moment - sent[number]) / 1e6 for socket in sockets for number, moment in _numbers(socket).items() if number > 0
    ]
    for socket in sockets:
        socket.close()
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "cpu_us": cpu / len(waits)}


def _message(number: int) -> bytes:
    data = {"value": number, "max": 1000, "node": "7", "prompt_id": PADDING}
    return json.dumps({"type": "progress", "data": data}).encode()


def _numbers(socket: Viewer) -> dict[int, int]:
    """Number of an event -> the moment at which it came; frames that are other events have none."""
    found = ((NUMBER.search(frame), moment) for moment, frame in socket.frames)
    return {int(match.group(1)): moment for match, moment in found if match}
