"""Keeps the room's and the workers' panels up to date: listens to the queue manager's events and asks it what changed.

Events only say that something happened, and how far a running node is; what is shown is always asked for anew.
"""

import asyncio
import contextlib
from typing import Any

from services.admin.board import Board
from services.admin.panels import Progress, ProgressPanel, QueuePanel, progress_of, room_panel, workers_panel
from services.admin.queue_client import QueueClient
from services.domain.errors import Unavailable
from services.domain.job import Job
from services.kit.logs import get_logger

log = get_logger(__name__)

CALM_SECONDS = 0.5
"""Between two questions: many events within that time are answered by one look."""

ROUTINE_SECONDS = 5.0
"""Without any event it is looked this often: a worker that was lost says nothing."""

PROGRESS_SECONDS = 0.25
"""Four steps a second look smooth on a bar."""

SHOWN_JOBS = 100
SHOWN_FAILED = 10


class RoomWatch:
    """One watch over one queue."""

    def __init__(self, queue: QueueClient, board: Board) -> None:
        self._queue = queue
        self._board = board
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()
        self._progress: dict[str, Progress] = {}

    async def follow_events(self) -> None:
        """Listen until cancelled; a stream that breaks is opened again."""
        while True:
            try:
                async with contextlib.aclosing(self._queue.events()) as events:
                    async for event in events:
                        self._take(event)
            except Unavailable as error:
                self._board.put("queue", QueuePanel(problem=error.message))
            await asyncio.sleep(CALM_SECONDS)

    async def look_again(self) -> None:
        """Ask for the room whenever something has happened, and now and then anyway, until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._look()
                self._board.put("queue", QueuePanel(problem=None))
            except Unavailable as error:
                self._board.put("queue", QueuePanel(problem=error.message))
            except (KeyError, ValueError):
                log.exception("the queue manager's answer was not understood")
                self._board.put("queue", QueuePanel(problem="The queue manager answers in a form unknown here."))
            await asyncio.sleep(CALM_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROUTINE_SECONDS):
                    await self._changed.wait()

    async def _look(self) -> None:
        queue, live, failed, workers = await asyncio.gather(
            self._queue.get("/api/queue"),
            self._queue.get("/api/jobs", state="queued,running", limit=SHOWN_JOBS),
            self._queue.get("/api/jobs", state="failed,dead", limit=SHOWN_FAILED),
            self._queue.get("/api/workers"),
        )
        live_jobs, failed_jobs = ([Job.model_validate(job) for job in page["jobs"]] for page in (live, failed))
        self._board.put("room", room_panel(queue, live_jobs, failed_jobs))
        self._board.put("workers", workers_panel(workers))
        running = {job.id for job in live_jobs if job.state == "running"}
        for job in self._progress.keys() - running:
            del self._progress[job]
        self._moved.set()

    async def show_progress(self) -> None:
        """Show how far the running jobs are, a few times a second at most, until cancelled."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            self._board.put("progress", ProgressPanel(jobs=self._progress))
            await asyncio.sleep(PROGRESS_SECONDS)

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("type") != "job.progress":
            self._changed.set()
        elif (progress := progress_of(event["data"])) is not None:
            self._progress[event["job"]] = progress
            self._moved.set()
