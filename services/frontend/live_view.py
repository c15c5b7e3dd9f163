"""What runs, as the participant's tabs show it: ComfyUI's messages, relayed from the event stream and repeatable.

Follows the participant's own events at the queue manager and turns them into stock WebSocket messages. The state of
each running job is kept, so that a reloaded or a second tab is shown the current node, progress and results again.
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import structlog

from services.domain.errors import WorkshopError
from services.frontend.browser_sockets import BrowserSocket, BrowserSockets
from services.frontend.file_names import put_job_in_front
from services.frontend.queue_client import QueueClient
from services.frontend.stock_history import OPEN_STATES, Job, failed, interrupted

RECONNECT_SECONDS = 0.5
REMEMBERED_CLIENTS = 64
REMEMBERED_ENDS = 256
REMEMBERED_RUNS = 16
HALF_OPEN_SECONDS = 60.0
"""A tab whose line broke silently counts as connected for so long, until the heartbeat finds out."""

_log = structlog.get_logger(__name__)
_ENDED = ("job.succeeded", "job.failed", "job.cancelled", "job.dead")
_HELD_BACK = ("execution_success", "execution_error", "execution_interrupted")
"""Shown when the queue has recorded the end: only then do history and files answer."""


@dataclass
class Run:
    """A job that waits or runs, with the messages that a new tab has to be shown."""

    number: int
    client_id: str
    running: bool = False
    shown: bool = False
    """Whether it was ever started: the page shows it, and has to hear of its end."""
    opening: list[tuple[str, Any]] = field(default_factory=list)
    executed: list[tuple[str, Any]] = field(default_factory=list)
    progress_state: Any = None
    executing: Any = None
    ending: tuple[str, Any] | None = None
    missed: bool = False
    """Whether the tab that asked for it was away when it ended."""
    ended_at: float = 0.0

    def note(self, kind: str, data: Any) -> None:
        """Keep what a new tab needs to see of this message."""
        match kind:
            case "execution_start" | "execution_cached":
                self.opening.append((kind, data))
            case "executed":
                self.executed.append((kind, data))
            case "progress_state":
                self.progress_state = data
            case "executing":
                self.executing = data

    def start_again(self) -> None:
        """Forget the messages of an attempt that was given up."""
        self.opening, self.executed, self.running = [], [], False
        self.progress_state = self.executing = self.ending = None

    def repeat(self) -> list[tuple[str, Any]]:
        """The messages that bring a new tab up to date."""
        messages = [*self.opening, *self.executed]
        if self.progress_state is not None:
            messages.append(("progress_state", self.progress_state))
        if self.executing is not None:
            messages.append(("executing", self.executing))
        return messages


class LiveView:
    """The participant's open jobs and the tabs that show them."""

    def __init__(self, queue: QueueClient, sockets: BrowserSockets) -> None:
        self._queue = queue
        self._sockets = sockets
        self._runs: dict[str, Run] = {}
        self._last_event: str | None = None
        self._submitters: dict[str, None] = {}
        self._ended: dict[str, None] = {}
        self._ended_runs: dict[str, Run] = {}
        self.followed = asyncio.Event()

    # -- what the routes ask -------------------------------------------------------------------------------------

    @property
    def queue_remaining(self) -> int:
        """How many of the participant's jobs wait or run: stock's queue counter."""
        return len(self._runs)

    def status(self) -> dict[str, Any]:
        """Stock's `status` payload."""
        return {"status": {"exec_info": {"queue_remaining": self.queue_remaining}}}

    def submitted(self, job_id: str, number: int, client_id: str) -> None:
        """Note who asked for a job; its events may be here already, up to its end."""
        if job_id not in self._ended:
            self._runs.setdefault(job_id, Run(number, client_id))
        _remember(self._submitters, client_id, REMEMBERED_CLIENTS)

    def waiting(self) -> list[str]:
        """The jobs that wait, oldest first."""
        return [job_id for job_id, run in self._runs.items() if not run.running]

    def greet(self, socket: BrowserSocket) -> None:
        """Send what a tab needs when it opens or comes back."""
        socket.send("status", self.status() | {"sid": socket.client_id})
        for run in self._runs.values():
            if run.running and self._concerns(socket, run):
                for kind, data in run.repeat():
                    socket.send(kind, data)
        self._show_missed(socket)

    def _show_missed(self, socket: BrowserSocket) -> None:
        """Show a tab that comes back what ended while it was away, as it would have seen it."""
        replaces_another = any(other is not socket and other.client_id == socket.client_id for other in self._sockets)
        oldest = asyncio.get_running_loop().time() - HALF_OPEN_SECONDS
        for job_id, run in list(self._ended_runs.items()):
            if run.client_id != socket.client_id or not (run.missed or (replaces_another and run.ended_at > oldest)):
                continue
            del self._ended_runs[job_id]
            for kind, data in run.repeat():
                socket.send(kind, data)
            if run.ending is not None:
                socket.send(*run.ending)
            socket.send("executing", {"node": None, "prompt_id": job_id})

    # -- following the events ------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Relay events for ever; after a lost line go on behind the last one seen."""
        while True:
            try:
                if self._last_event is None:
                    await self._take_stock()
                async with self._queue.events(self._last_event) as events:
                    self.followed.set()
                    async for message in events:
                        await self._take(message)
            except (WorkshopError, aiohttp.ClientError, TimeoutError, OSError) as error:
                _log.info("events lost", reason=type(error).__name__)
            self.followed.clear()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _take_stock(self) -> None:
        """Begin with the open jobs; their events so far are asked for from the oldest one's start."""
        jobs = await self._queue.jobs(OPEN_STATES, limit=1000)
        for job in reversed(jobs):
            self._runs.setdefault(job["id"], Run(job["number"], job.get("client_id", "")))
        if jobs:
            self._last_event = f"{min(job['created_at'] for job in jobs) - 1}-0"

    async def _take(self, message: aiohttp.WSMessage) -> None:
        if message.type is aiohttp.WSMsgType.BINARY:
            self._take_frame(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            event = msgspec.json.decode(message.data, type=dict[str, Any])
            if event["type"] == "missed":
                await self._catch_up()
            else:
                await self._take_event(event)
            self._last_event = event.get("id") or self._last_event

    async def _catch_up(self) -> None:
        """More happened than the stream keeps: drop what has ended meanwhile."""
        still_open = {job["id"] for job in await self._queue.jobs(OPEN_STATES, limit=1000)}
        for job_id in [job_id for job_id in self._runs if job_id not in still_open]:
            await self._end(job_id, self._runs[job_id])
        self._sockets.broadcast("status", self.status())

    async def _take_event(self, event: dict[str, Any]) -> None:
        kind, job_id, data = event["type"], event.get("job"), event.get("data") or {}
        if kind.startswith("room."):
            self._sockets.broadcast("workshop", {"event": kind, **data})
        if not job_id:
            return
        run = self._runs.get(job_id)
        if kind in ("job.queued", "job.requeued"):
            await self._queued(job_id, run)
        elif run is None:
            return
        elif kind == "job.running":
            run.start_again()
            run.running = run.shown = True
            self._sockets.broadcast("status", self.status())
        elif kind == "job.progress":
            self._relay(run, data["message"], data["data"])
        elif kind in _ENDED:
            await self._end(job_id, run)

    async def _queued(self, job_id: str, run: Run | None) -> None:
        if run is None:
            job = await self._queue.job(job_id)
            if job is None or job["state"] not in ("queued", "running"):
                return
            self._runs[job_id] = Run(job["number"], job.get("client_id", ""))
        else:
            run.start_again()
        self._sockets.broadcast("status", self.status())

    def _relay(self, run: Run, kind: str, data: Any) -> None:
        if kind == "executed" and isinstance(data, dict):
            data = data | {"output": put_job_in_front(data.get("output"), run.number)}
        if kind in _HELD_BACK:
            run.ending = (kind, data)
            return
        if kind == "executing" and (not isinstance(data, dict) or data.get("node") is None):
            return
        run.note(kind, data)
        self._tell(run, kind, data)

    async def _end(self, job_id: str, run: Run) -> None:
        """Show the recorded end in stock's order: the end's message, the counter, no node executing."""
        job = await self._queue.job(job_id)
        self._runs.pop(job_id, None)
        _remember(self._ended, job_id, REMEMBERED_ENDS)
        if run.running or run.ending:
            run.ending = _ending(job_id, run, job)
            if run.ending is not None:
                self._tell(run, *run.ending)
        self._sockets.broadcast("status", self.status())
        if run.shown:  # said of a job that only waited, it would take the running one's marks off the canvas
            self._tell(run, "executing", {"node": None, "prompt_id": job_id})
            self._keep_for_return(job_id, run)

    def _keep_for_return(self, job_id: str, run: Run) -> None:
        """Remember an ended run for the tab that asked for it, in case it was away."""
        run.missed = not any(socket.client_id == run.client_id for socket in self._sockets)
        run.ended_at = asyncio.get_running_loop().time()
        self._ended_runs[job_id] = run
        while len(self._ended_runs) > REMEMBERED_RUNS:
            del self._ended_runs[next(iter(self._ended_runs))]

    def _take_frame(self, frame: bytes) -> None:
        """A preview: sixteen bytes of job id, then ComfyUI's own frame."""
        run = self._runs.get(str(uuid.UUID(bytes=frame[:16])))
        if run is None:
            return
        for socket in self._sockets:
            if self._concerns(socket, run):
                socket.send_frame(frame[16:])

    def _tell(self, run: Run, kind: str, data: Any) -> None:
        for socket in self._sockets:
            if self._concerns(socket, run):
                socket.send(kind, data)

    def _concerns(self, socket: BrowserSocket, run: Run) -> bool:
        """Whether a tab shows this run: the one that asked for it, and any that has asked for nothing itself.

        The page does not look at the job of a message: one from another tab's graph would paint this tab's nodes.
        """
        return socket.client_id == run.client_id or socket.client_id not in self._submitters


def _remember(names: dict[str, None], name: str, limit: int) -> None:
    names[name] = None
    while len(names) > limit:
        del names[next(iter(names))]


def _ending(job_id: str, run: Run, job: Job | None) -> tuple[str, Any] | None:
    """The message of the end as the queue recorded it; ComfyUI's own, where it says the same."""
    state = job["state"] if job else None
    expected = {
        "succeeded": "execution_success", "failed": "execution_error", "dead": "execution_error",
        "cancelled": "execution_interrupted",
    }.get(state or "")  # fmt: skip
    if expected is None or job is None:
        return None
    if run.ending is not None and run.ending[0] == expected:
        return run.ending
    if expected == "execution_success":
        return expected, {"prompt_id": job_id, "timestamp": job.get("ended_at")}
    return expected, failed(job) if expected == "execution_error" else interrupted(job)
