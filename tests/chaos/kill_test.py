"""The kill test as a whole: participants live, somebody kills, all comes to its end, everything is looked at."""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.chaos.ends import MAX_ATTEMPTS, check_all
from tests.chaos.kills import rage
from tests.chaos.participants import Handed, NotAnswered, ask, follow, hand_in, live
from tests.chaos.pictures import poison, workflow
from tests.chaos.plan import Plan
from tests.chaos.workshop import START_LIMIT_SECONDS, Workshop
from tests.support.wait import wait_until

JOB_SECONDS = (0.1, 1.5)
ENDLESS_SECONDS = 600.0
"""The length of a job that is meant to be running when its worker dies."""


@dataclass(frozen=True)
class Outcome:
    """What a run has to tell."""

    deaths: Counter[str]
    ends: Counter[str]
    forgotten: int
    rerun_seconds: float


async def kill_test(folder: Path, plan: Plan, report: Callable[[str], None]) -> Outcome:
    """Run one plan in `folder`. Raises AssertionError for the first broken promise, the room's logs with it."""
    with Workshop(folder, plan) as workshop:
        async with told_with_logs(workshop):
            jobs = make_jobs(workshop, plan)
            deaths = await bring_to_ends(workshop, plan, jobs, report)
            report("all ended; looking at files and events")
            ends = await check_all(workshop, jobs)
            report("a poison job, and a worker that dies in the middle of a job")
            await check_poison(workshop)
            rerun = await check_rerun(workshop, plan)
    return Outcome(deaths, ends, sum(job.forgotten for job in jobs), rerun)


@contextlib.asynccontextmanager
async def told_with_logs(workshop: Workshop) -> AsyncIterator[None]:
    """Put the ends of the room's logs beside whatever goes wrong."""
    try:
        yield
    except Exception as error:
        error.add_note(workshop.logs())
        raise


def make_jobs(workshop: Workshop, plan: Plan) -> list[Handed]:
    """The plan's jobs, spread over the participants, from its seed."""
    dice = random.Random(plan.seed)
    people = workshop.people
    return [
        Handed(number, people[number % len(people)], workflow(number, dice.uniform(*JOB_SECONDS)))
        for number in range(plan.jobs)
    ]


async def bring_to_ends(
    workshop: Workshop, plan: Plan, jobs: Sequence[Handed], report: Callable[[str], None]
) -> Counter[str]:
    """Let the participants live while things are killed; return once each job has ended."""
    by_owner: dict[str, list[Handed]] = defaultdict(list)
    for job in jobs:
        by_owner[job.owner].append(job)
    dice = random.Random(plan.seed + 1)
    async with asyncio.timeout(plan.seconds + plan.limit_seconds), asyncio.TaskGroup() as group:
        for own in by_owner.values():
            group.create_task(live(workshop, own, plan.seconds * 0.8, dice))
        deaths = await rage(workshop, plan, report)
        report("left in peace; waiting for the ends")
    await wait_until(lambda: asyncio.to_thread(workshop.is_whole), "the room to be whole again", START_LIMIT_SECONDS)
    return deaths


async def check_poison(workshop: Workshop) -> None:
    """A job that ends every engine it runs on is dead after three attempts, with a reason."""
    job = Handed(-1, workshop.people[0], poison())
    async with workshop.client(job.owner) as client, asyncio.timeout(START_LIMIT_SECONDS * 2):
        await hand_in(client, job)
        await follow(client, job)
    record = job.record
    assert record["state"] == "dead", f"the poison job ended as {record['state']}: {record['error']}"
    assert record["attempt"] == MAX_ATTEMPTS, f"the poison job died at attempt {record['attempt']}"
    assert record["error"]["message"], "the poison job died without a reason"


async def check_rerun(workshop: Workshop, plan: Plan) -> float:
    """Kill a worker in the middle of a job; seconds until the job runs again."""
    job = Handed(-2, workshop.people[1], workflow(0, ENDLESS_SECONDS, steps=6000))
    async with workshop.client(job.owner) as client:
        await hand_in(client, job)

        async def attempt() -> int:
            with contextlib.suppress(NotAnswered):
                job.record = (await ask(client, "GET", f"/api/jobs/{job.id}")).json()
            return int(job.record["attempt"]) if job.record.get("state") == "running" else 0

        await wait_until(attempt, "the job to run", START_LIMIT_SECONDS)
        first = int(job.record["attempt"])
        workshop.workers[job.record["worker"]].kill()
        died = monotonic()

        async def runs_again() -> bool:
            return await attempt() > first

        await wait_until(runs_again, "the dead worker's job to run again", START_LIMIT_SECONDS)
        seconds = monotonic() - died
        await client.post(f"/api/jobs/{job.id}/cancel")
    assert seconds < plan.rerun_within_seconds, f"the dead worker's job ran again only after {seconds:.1f} s"
    return seconds
