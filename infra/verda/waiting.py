"""Waiting for something at Verda to come about: polls that slow down, with a deadline of their own.

A dynamic resource gets no time limit from the engine, so every wait carries its own.
"""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from infra.verda.errors import DeadlinePassed

T = TypeVar("T")

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
GROWTH = 1.5


class Clock(Protocol):
    """What waiting needs of time; tests bring one that does not take any."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def until(look: Callable[[], T | None], *, clock: Clock, seconds: float, sentence: str) -> T:
    """What `look` returns as soon as it is not None; raises DeadlinePassed with `sentence` after `seconds`.

    Looks once more when the time is up, so that a machine asleep in between is not called late.
    """
    deadline, pause = clock.now() + seconds, FIRST_PAUSE
    while True:
        late = clock.now() >= deadline
        found = look()
        if found is not None:
            return found
        if late:
            raise DeadlinePassed(sentence)
        clock.sleep(max(0.0, min(pause, LONGEST_PAUSE, deadline - clock.now())))
        pause *= GROWTH
