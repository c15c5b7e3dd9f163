"""Waiting until something is true, instead of sleeping and hoping.

The limits are generous on purpose: a slow machine makes a test slow, never red.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

LIMIT_SECONDS = 90.0
PAUSE_SECONDS = 0.02


class NeverHappened(AssertionError):
    """The condition did not become true within the limit."""


def _complaint(what: str, limit: float, last: object) -> str:
    return f"waited {limit:.0f} s in vain for: {what or 'the condition'} (last seen: {last!r})"


def wait_for(condition: Callable[[], T], what: str = "", limit: float = LIMIT_SECONDS) -> T:
    """Call `condition` until it answers something true, and return that; raise NeverHappened after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        last = condition()
        if last:
            return last
        if time.monotonic() > end:
            raise NeverHappened(_complaint(what, limit, last))
        time.sleep(PAUSE_SECONDS)


@overload
async def wait_until(condition: Callable[[], Awaitable[T]], what: str = "", limit: float = LIMIT_SECONDS) -> T: ...
@overload
async def wait_until(condition: Callable[[], T], what: str = "", limit: float = LIMIT_SECONDS) -> T: ...
async def wait_until(condition: Callable[[], T | Awaitable[T]], what: str = "", limit: float = LIMIT_SECONDS) -> T:
    """The same for a coroutine function or a plain one, without blocking the event loop."""
    end = time.monotonic() + limit
    while True:
        answer = condition()
        last: T = await answer if inspect.isawaitable(answer) else answer
        if last:
            return last
        if time.monotonic() > end:
            raise NeverHappened(_complaint(what, limit, last))
        await asyncio.sleep(PAUSE_SECONDS)
