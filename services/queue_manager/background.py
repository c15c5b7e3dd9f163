"""What the queue manager does by itself, at fixed intervals: each tick is small, may run in several processes, and
may fail.

A tick that fails (Redis is away, the disk is full) is logged and simply tried again at its next turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.domain.errors import WorkshopError
from services.kit.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class Tick:
    """A piece of work and how often it is done."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


async def repeat(tick: Tick) -> None:
    """Do the work of `tick` again and again until cancelled."""
    failing = False
    while True:
        await asyncio.sleep(tick.seconds)
        try:
            await tick.work()
            failing = False
        except WorkshopError as error:
            if not failing:
                log.warning("a tick failed; it is tried again", tick=tick.name, error=error.code)
            failing = True
        except Exception:
            if not failing:
                log.exception("a tick failed; it is tried again", tick=tick.name)
            failing = True
