"""Assembly of the console: what watches, what answers, and who may ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from services.admin.board import Board
from services.admin.door import FrontDoorOnly
from services.admin.pages import refusal
from services.admin.queue_client import QueueClient
from services.admin.room_watch import RoomWatch
from services.admin.routes import ROUTERS
from services.admin.settings import AdminSettings
from services.admin.stack import StackFile
from services.admin.stack_watch import StackWatch
from services.domain.errors import NotFound, WorkshopError


class State(TypedDict):
    """What lives as long as the process."""

    settings: AdminSettings
    board: Board


def create_app(settings: AdminSettings) -> FastAPI:
    """The application; watching begins with its lifespan."""
    board = Board()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with QueueClient(settings.queue_url, settings.token_file) as queue:
            room = RoomWatch(queue, board)
            stack = StackWatch(StackFile(settings.stack_outputs_file), queue, board, settings.probe_seconds)
            watches = [room.follow_events(), room.look_again(), room.show_progress(), stack.run()]
            tasks = [asyncio.create_task(watch) for watch in watches]
            yield State(settings=settings, board=board)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(
        title="ComfyuME console", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.board = board
    app.add_exception_handler(WorkshopError, _refuse)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_middleware(FrontDoorOnly, secret=settings.door_secret.get_secret_value())
    for router in ROUTERS:
        app.include_router(router)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, WorkshopError):
        error = NotFound("There is nothing at this address; the console is at /admin/.")
    return refusal(error, request.headers.get("accept", ""))
