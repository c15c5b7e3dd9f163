"""Who looks at the console gets everything once, then what changes, and of that the newest."""

import asyncio
from contextlib import aclosing

import pytest

from services.admin.board import MAX_VIEWERS, Board
from services.admin.panels import QueuePanel
from services.domain.errors import LimitReached

HOURS = 3600.0


def problem(text: str | None) -> QueuePanel:
    return QueuePanel(problem=text)


async def test_a_viewer_gets_all_panels_and_then_each_change() -> None:
    board = Board()
    board.put("queue", problem("one"))
    async with aclosing(board.watch(HOURS)) as seen:
        assert await anext(seen) == ("queue", '{"problem":"one"}')
        board.put("queue", problem("two"))
        assert await anext(seen) == ("queue", '{"problem":"two"}')


async def test_a_panel_that_is_as_it_was_tells_nobody() -> None:
    board = Board()
    board.put("queue", problem("one"))
    async with aclosing(board.watch(0.01)) as seen:
        await anext(seen)
        board.put("queue", problem("one"))
        assert await anext(seen) is None, "a sign of life"


async def test_a_slow_viewer_gets_the_newest_of_each_panel() -> None:
    board = Board()
    async with aclosing(board.watch(HOURS)) as seen:
        waiting = asyncio.ensure_future(anext(seen))
        await asyncio.sleep(0)
        for number in range(100):
            board.put("queue", problem(str(number)))
        assert await waiting == ("queue", '{"problem":"99"}')


async def test_when_the_process_ends_every_viewer_is_let_go() -> None:
    board = Board()
    board.put("queue", problem(None))
    async with aclosing(board.watch(HOURS)) as seen:
        await anext(seen)
        board.close()
        with pytest.raises(StopAsyncIteration):
            await anext(seen)


async def test_too_many_viewers_are_refused_and_a_place_becomes_free_again() -> None:
    board = Board()
    board.put("queue", problem(None))
    viewers = [board.watch(HOURS) for _ in range(MAX_VIEWERS)]
    for viewer in viewers:
        await anext(viewer)
    with pytest.raises(LimitReached):
        board.require_place()
    await viewers[0].aclose()
    board.require_place()
    for viewer in viewers:
        await viewer.aclose()
