"""The one who kills: every few seconds somebody else, started again after a moment, by a fixed seed."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.plan import Plan
from tests.chaos.workshop import Workshop, pick_victim

ABSENCE = (0.1, 1.0)
"""Seconds between a death and the new start: least and most."""


async def rage(workshop: Workshop, plan: Plan, report: Callable[[str], None]) -> Counter[str]:
    """Kill for `plan.seconds`; who died how often. Afterwards everything has been started again."""
    dice = random.Random(plan.seed)
    deaths: Counter[str] = Counter()
    end = time.monotonic() + plan.seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        victim = pick_victim(workshop, dice)
        report(f"{victim} dies")
        deaths[victim] += 1
        await asyncio.to_thread(_kill, workshop, victim)
        await asyncio.sleep(dice.uniform(*ABSENCE))
        await asyncio.to_thread(_start, workshop, victim)
        await asyncio.sleep(max(0.0, plan.kill_every - (time.monotonic() - begun)))
    return deaths


def _kill(workshop: Workshop, victim: str) -> None:
    if victim == "redis":
        workshop.redis.kill()
    elif victim == "manager":
        workshop.manager.kill()
    elif victim in workshop.workers:
        workshop.workers[victim].kill()
    else:
        workshop.workers[victim.removeprefix("engine of ")].kill_children()


def _start(workshop: Workshop, victim: str) -> None:
    if victim == "redis":
        workshop.redis.start()
    elif victim == "manager":
        workshop.manager.start()
    elif victim in workshop.workers:
        workshop.workers[victim].start()
