"""The stream that the page listens to: whole panels, each when it changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from services.admin.board import Board
from services.admin.door import AsStaff

router = APIRouter()

BEAT_SECONDS = 15.0
STREAM_SECONDS = 300.0
"""A stream ends after this long and the browser opens a new one: whoever was removed meanwhile is not let in again."""


@router.get("/live")
async def live(request: Request, _who: AsStaff) -> StreamingResponse:
    """Server-sent events: the event's name is the panel's, its data the panel as JSON."""
    board = cast(Board, request.state.board)
    board.require_place()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(board), headers=headers, media_type="text/event-stream")


async def _lines(board: Board) -> AsyncIterator[bytes]:
    end = asyncio.get_running_loop().time() + STREAM_SECONDS
    yield b"retry: 1000\n\n"
    async with aclosing(board.watch(BEAT_SECONDS)) as panels:
        async for panel in panels:
            yield b": beat\n\n" if panel is None else f"event: {panel[0]}\ndata: {panel[1]}\n\n".encode()
            if asyncio.get_running_loop().time() > end:
                return
