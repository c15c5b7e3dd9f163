"""Parked workers: served in order, one claim for each job, and no job stays with a worker that has gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.domain.job import Lease
from services.queue_manager.bell import Bell, Claimed, StopSignals
from tests.support.wait import wait_until


def job(number: int) -> Claimed:
    """A claimed job."""
    lease = Lease(
        job_id=f"job-{number}", token="t", participant="p", attempt=1, number=number, expires_at=0, lease_seconds=30
    )
    return lease, b"{}"


class Room:
    """Jobs to be claimed, with a note of who asked."""

    def __init__(self) -> None:
        self.jobs: list[Claimed] = []
        self.asked: list[str] = []
        self.returned: list[Claimed] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.pools: dict[str, Sequence[str]] = {}
        self.bell = Bell(self.claim, lambda worker: self.pools.get(worker, ("all",)), self.give_back)

    async def claim(self, worker: str, _model: str) -> Claimed | None:
        self.asked.append(worker)
        await self.gate.wait()
        if self.broken:
            raise ConnectionError("away")
        return self.jobs.pop(0) if self.jobs else None

    async def give_back(self, claimed: Claimed) -> None:
        self.returned.append(claimed)

    def park(
        self, worker: str, seconds: float = 60, gone: "asyncio.Future[None] | None" = None
    ) -> "asyncio.Task[Claimed | None]":
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return asyncio.create_task(self.bell.wait(worker, "", seconds, gone or never))

    async def quiet(self, workers: int) -> None:
        """Wait until so many are parked and the first look of the last one is over."""
        await wait_until(lambda: self.bell.waiting == workers)
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def open_room() -> AsyncIterator[Room]:
    """A room whose bell is served."""
    room = Room()
    serving = asyncio.create_task(room.bell.run())
    yield room
    serving.cancel()


async def test_a_ring_serves_the_parked_workers_in_the_order_in_which_they_came() -> None:
    async with open_room() as room:
        waits = []
        for number, name in enumerate(("a", "b", "c"), 1):
            waits.append(room.park(name))
            await room.quiet(number)
        room.jobs = [job(1), job(2)]
        room.bell.ring()
        assert await waits[0] == job(1)
        assert await waits[1] == job(2)
        assert not waits[2].done()
        waits[2].cancel()


async def test_one_claim_without_a_job_speaks_for_all_workers_of_the_same_pools() -> None:
    async with open_room() as room:
        room.pools = {"x": ("other",)}
        waits = [room.park(name) for name in ("a", "b", "c", "x")]
        await room.quiet(4)
        room.asked.clear()
        room.bell.ring()
        await wait_until(lambda: len(room.asked) >= 2)
        await room.quiet(4)
        assert room.asked == ["a", "x"]
        for wait in waits:
            wait.cancel()


async def test_a_ring_while_nobody_waits_asks_nothing() -> None:
    async with open_room() as room:
        room.bell.ring()
        await asyncio.sleep(0)
        assert room.asked == []


async def test_when_the_time_is_over_the_answer_is_none() -> None:
    async with open_room() as room:
        assert await room.park("a", seconds=0.05) is None
        assert room.bell.waiting == 0


async def test_a_claim_that_is_on_its_way_when_the_time_is_over_is_waited_for() -> None:
    async with open_room() as room:
        room.gate.clear()
        wait = room.park("a", seconds=0.05)
        await wait_until(lambda: room.asked == ["a"])
        await wait_until(lambda: all(waiter.overdue for waiter in room.bell._waiters))
        room.jobs = [job(1)]
        room.gate.set()
        assert await wait == job(1)


async def test_a_claim_that_fails_after_the_time_is_over_leaves_nobody_waiting() -> None:
    async with open_room() as room:
        room.gate.clear()
        wait = room.park("a", seconds=0.05)
        await wait_until(lambda: room.asked == ["a"])
        await wait_until(lambda: all(waiter.overdue for waiter in room.bell._waiters))
        room.broken = True
        room.gate.set()
        assert await wait is None


async def test_a_job_claimed_for_a_worker_that_hung_up_meanwhile_is_given_back() -> None:
    async with open_room() as room:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        room.gate.clear()
        wait = room.park("a", gone=gone)
        await wait_until(lambda: room.asked == ["a"])
        gone.set_result(None)
        assert await wait is None
        room.jobs = [job(1)]
        room.gate.set()
        await wait_until(lambda: room.returned == [job(1)])


async def test_closing_lets_everybody_go_and_parks_nobody_any_more() -> None:
    async with open_room() as room:
        waits = [room.park(name) for name in ("a", "b")]
        await room.quiet(2)
        room.bell.close()
        assert [await wait for wait in waits] == [None, None]
        assert await room.park("c") is None


async def test_a_stop_wakes_the_heartbeats_of_its_job_only() -> None:
    stops = StopSignals()
    mine, other = stops.park("job-1"), stops.park("job-2")
    stops.ring("job-1")
    assert mine.done()
    assert not other.done()
    stops.leave("job-1", mine)
    stops.leave("job-2", other)
    stops.ring("job-2")
    stops.close()
    assert stops.park("job-3").done()
