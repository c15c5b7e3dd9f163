"""Who waits for what in this process: workers parked for a job, heartbeats parked for a stop.

Nobody here polls. A ring comes from a route of this process or, by way of `signals.py`, from another one. The bell
claims on behalf of the parked workers, first come first served, so that one submit costs one claim and not one for
each idle worker. A slow round every few seconds is the safety net for a ring that was lost together with its
connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.domain.job import Lease
from services.kit.logs import get_logger

log = get_logger(__name__)

SAFETY_SECONDS = 3.0
"""Between two rounds that nobody rang for; only while somebody waits."""

Claimed = tuple[Lease, bytes]


@dataclass(eq=False, slots=True)
class Waiter:
    """A worker's parked request for a job."""

    worker: str
    loaded_model: str
    answer: "asyncio.Future[Claimed | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    claiming: bool = False
    overdue: bool = False


Claim = Callable[[str, str], Awaitable[Claimed | None]]
"""Claim a job for (worker, loaded model), or None."""
PoolsOf = Callable[[str], Sequence[str]]
GiveBack = Callable[[Claimed], Awaitable[None]]


class Bell:
    """The parked workers of this process and the one task that claims for them."""

    def __init__(self, claim: Claim, pools_of: PoolsOf, give_back: GiveBack) -> None:
        self._claim = claim
        self._pools_of = pools_of
        self._give_back = give_back
        self._waiters: dict[Waiter, None] = {}
        self._rung = asyncio.Event()
        self.on_parked: Callable[[], Awaitable[None]] | None = None
        """Awaited when a worker has been parked, before the first look: from then on rings have to come."""
        self._closed = False

    @property
    def waiting(self) -> int:
        """Workers parked at the moment."""
        return len(self._waiters)

    def ring(self) -> None:
        """Say that a job may have become claimable; costs nothing while nobody waits."""
        if self._waiters:
            self._rung.set()

    def close(self) -> None:
        """Answer every parked worker "nothing now"; later ones are not parked at all (the process is about to end)."""
        self._closed = True
        for waiter in list(self._waiters):
            if not waiter.claiming:
                self._answer(waiter, None)

    async def wait(self, worker: str, loaded_model: str, seconds: float, gone: Awaitable[None]) -> Claimed | None:
        """Park until there is a job, `seconds` have passed or `gone` (the client hung up) completes."""
        if self._closed or seconds <= 0:
            return None
        waiter = Waiter(worker, loaded_model)
        self._waiters[waiter] = None
        left: asyncio.Future[None] = asyncio.ensure_future(gone)
        either: set[asyncio.Future[Any]] = {waiter.answer, left}
        try:
            if self.on_parked is not None:
                await self.on_parked()
            self._rung.set()  # a job may have arrived between the caller's own claim and this line
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if waiter.claiming and not left.done():
                waiter.overdue = True  # a claim is on its way: its outcome, job or none, is the answer
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            claimed = waiter.answer.result() if waiter.answer.done() else None
            if claimed is not None and left.done():
                await self._give_back(claimed)
                return None
            return claimed
        finally:
            left.cancel()
            self._waiters.pop(waiter, None)
            waiter.answer.cancel()

    async def run(self) -> None:
        """Serve the parked workers until cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._rung.wait(), SAFETY_SECONDS)
            except TimeoutError:
                if not self._waiters:
                    continue
            self._rung.clear()
            try:
                await self._serve_round()
            except Exception as error:  # the store is away: the safety round tries again
                log.warning("claiming for parked workers failed", error=type(error).__name__)

    async def _serve_round(self) -> None:
        """Claim for each parked worker in turn; workers with the pools of one that got nothing need not ask."""
        without_work: set[tuple[str, ...]] = set()
        for waiter in list(self._waiters):
            pools = tuple(self._pools_of(waiter.worker))
            if pools in without_work or waiter.answer.done():
                continue
            claimed = await self._claim_for(waiter)
            if claimed is None:
                without_work.add(pools)
            elif waiter.answer.done():  # hung up while the claim was on its way
                await self._give_back(claimed)
            else:
                self._answer(waiter, claimed)

    async def _claim_for(self, waiter: Waiter) -> Claimed | None:
        claimed = None
        waiter.claiming = True
        try:
            claimed = await self._claim(waiter.worker, waiter.loaded_model)
        finally:
            waiter.claiming = False
            if claimed is None and (waiter.overdue or self._closed):
                self._answer(waiter, None)
        return claimed

    def _answer(self, waiter: Waiter, claimed: Claimed | None) -> None:
        self._waiters.pop(waiter, None)
        if not waiter.answer.done():
            waiter.answer.set_result(claimed)


class StopSignals:
    """Heartbeats parked until their job is to stop."""

    def __init__(self) -> None:
        self._parked: dict[str, set[asyncio.Future[None]]] = {}
        self._closed = False

    def ring(self, job_id: str) -> None:
        """Wake the heartbeats of `job_id`: its worker has to look again."""
        for parked in self._parked.pop(job_id, ()):
            if not parked.done():
                parked.set_result(None)

    def ring_all(self) -> None:
        """Wake every heartbeat: notes may have been missed."""
        for job_id in list(self._parked):
            self.ring(job_id)

    def close(self) -> None:
        """Wake everybody; later heartbeats are answered at once."""
        self._closed = True
        self.ring_all()

    def park(self, job_id: str) -> "asyncio.Future[None]":
        """Return a future that completes at the next ring for `job_id`; park *before* reading the state."""
        parked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            parked.set_result(None)
        else:
            self._parked.setdefault(job_id, set()).add(parked)
        return parked

    def leave(self, job_id: str, parked: "asyncio.Future[None]") -> None:
        """Forget a future of `park`."""
        waiting = self._parked.get(job_id)
        if waiting is not None:
            waiting.discard(parked)
            if not waiting:
                del self._parked[job_id]
        parked.cancel()
