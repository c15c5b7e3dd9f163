"""Cancels at random moments around start and finish: nobody else's job is touched, nothing cancelled starts or goes on.

Every third job is never cancelled and must succeed; every third of the others works so long that only a stop ends it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.chaos.ends import ENDS, events_of
from tests.chaos.kill_test import told_with_logs
from tests.chaos.participants import Handed, follow, hand_in
from tests.chaos.pictures import workflow
from tests.chaos.plan import Plan
from tests.chaos.workshop import Workshop

SHORT_JOB_SECONDS = 0.2
LONG_JOB_SECONDS = 600.0
LONG_JOB_STEPS = 6000
"""A step of 0.1 s."""
DELAY_SECONDS = (0.0, 1.5)
"""Between a job's submit and its cancel: around start and finish when nobody stands before it."""


@dataclass(frozen=True)
class CancelOutcome:
    """What a run has to tell; `stops`: seconds from the cancel of a running job to its end, as its owner sees."""

    ends: Counter[str]
    never_started: int
    stops: list[float]


async def cancel_test(folder: Path, plan: Plan, report: Callable[[str], None]) -> CancelOutcome:
    """Make `plan.cancels` cancels. Raises AssertionError for the first broken promise."""
    with Workshop(folder, plan) as workshop:
        async with told_with_logs(workshop), asyncio.timeout(plan.seconds + plan.limit_seconds + plan.cancels):
            people = [Person(workshop, name, plan.seed + n) for n, name in enumerate(workshop.people)]
            left = iter(range(plan.cancels))
            await asyncio.gather(*(person.live(left, report) for person in people))
            report("all ended; reading the events")
            for person in people:
                await person.check_events()
    jobs = [job for person in people for job in person.jobs]
    return CancelOutcome(
        Counter(job.record["state"] for job in jobs),
        sum(len(person.cancelled_waiting) for person in people),
        [seconds for person in people for seconds in person.stops],
    )


class Person:
    """One participant who changes his mind."""

    def __init__(self, workshop: Workshop, name: str, seed: int) -> None:
        self.jobs: list[Handed] = []
        self.cancelled_waiting: set[str] = set()
        self.stops: list[float] = []
        self._workshop = workshop
        self._name = name
        self._dice = random.Random(seed)

    async def live(self, numbers: Iterator[int], report: Callable[[str], None]) -> None:
        """Cancel as long as there are numbers left."""
        others = [other for other in self._workshop.people if other != self._name]
        async with self._workshop.client(self._name) as client:
            self._client = client
            for number in numbers:
                report(f"cancel {number}")
                kept = self._make(number, long=False)
                doomed = self._make(number, long=number % 3 == 0)
                await hand_in(client, doomed)
                if number % 3 == 1:
                    await hand_in(client, kept)
                    self.jobs.append(kept)
                await self._cancel_foreign(self._dice.choice(others), doomed)
                await self._cancel(doomed, long=number % 3 == 0)
                if kept in self.jobs:
                    await follow(client, kept)
                    assert kept.record["state"] == "succeeded", f"{kept.id} was touched: {kept.record}"

    def _make(self, number: int, *, long: bool) -> Handed:
        steps = LONG_JOB_STEPS if long else 10
        return Handed(number, self._name, workflow(number, LONG_JOB_SECONDS if long else SHORT_JOB_SECONDS, steps))

    async def _cancel_foreign(self, other: str, job: Handed) -> None:
        async with self._workshop.client(other) as client:
            answer = await client.post(f"/api/jobs/{job.id}/cancel")
        assert answer.status_code == 404, f"{other} could cancel {job.owner}'s job: {answer.status_code}"

    async def _cancel(self, job: Handed, *, long: bool) -> None:
        self.jobs.append(job)
        await asyncio.sleep(self._dice.uniform(*DELAY_SECONDS))
        asked = monotonic()
        answer = await self._client.post(f"/api/jobs/{job.id}/cancel")
        assert answer.status_code == 200, f"the cancel was refused: {answer.status_code} {answer.text}"
        seen = answer.json()
        if seen["state"] == "cancelled" and seen["started_at"] is None:
            self.cancelled_waiting.add(job.id)
        await follow(self._client, job)
        state = job.record["state"]
        if seen["state"] == "running":
            self.stops.append(monotonic() - asked)
        assert state == "cancelled" or (state == "succeeded" and not long), f"{job.id} ended as {state}: {job.record}"

    async def check_events(self) -> None:
        """One end for each job, and no start of one that was cancelled while it waited."""
        events = await events_of(self._workshop, self._name)
        ends = Counter(event["job"] for event in events if event["type"] in ENDS)
        assert ends == Counter(job.id for job in self.jobs), f"{self._name} has seen other ends than his jobs' own"
        started = {event["job"] for event in events if event["type"] == "job.running"}
        assert not started & self.cancelled_waiting, "a job started although it was cancelled while it waited"
