"""What the page is told, one model a panel, and how the queue manager's answers become panels: pure functions.

A panel holds what the room view needs and nothing more: no workflow, no file, no credential. Times are unix ms.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.domain.job import Job

ERROR_CHARACTERS = 300
"""Of a failed job's message; the whole of it is the participant's."""


class Panel(BaseModel):
    """One part of the page."""

    model_config = ConfigDict(frozen=True)


class Progress(Panel):
    """How far the node that runs at the moment is."""

    node: str
    value: float
    max: float


class ProgressPanel(Panel):
    """The jobs that run, by id."""

    jobs: dict[str, Progress]


class JobRow(Panel):
    """A job that waits, runs or failed."""

    id: str
    participant: str
    number: int
    label: str
    state: str
    worker: str | None
    attempt: int
    since: int
    run_next: bool
    error: str | None = None


class PersonRow(Panel):
    """A participant's counts."""

    name: str
    waiting: int
    running: int
    ended_today: int


class RoomPanel(Panel):
    """The queue at a glance; `jobs` are those that run, then those that wait, oldest first."""

    discipline: str
    paused: bool
    draining: bool
    waiting: int
    running: int
    people: list[PersonRow]
    jobs: list[JobRow]
    failed: list[JobRow]


class WorkerRow(Panel):
    """A worker with its GPU; memory in bytes."""

    name: str
    state: str
    job: str | None
    last_seen: int
    comfyui_version: str
    rehearsal: bool
    loaded_model: str
    gpu: str
    memory_total: int
    memory_free: int


class WorkersPanel(Panel):
    """All workers."""

    workers: list[WorkerRow]


class QueuePanel(Panel):
    """Whether the queue manager answers; a sentence if not."""

    problem: str | None


def job_row(job: Job) -> JobRow:
    """A job as a row."""
    since = job.ended_at or job.started_at or job.created_at
    error = f"{job.error.type}: {job.error.message}"[:ERROR_CHARACTERS] if job.error else None
    return JobRow(
        id=job.id, participant=job.participant, number=job.number, label=job.label, state=job.state,
        worker=job.worker, attempt=job.attempt, since=since, run_next=job.run_next, error=error,
    )  # fmt: skip


def room_panel(queue: Mapping[str, Any], live: Iterable[Job], failed: Iterable[Job]) -> RoomPanel:
    """The room from GET /api/queue and two lists of jobs."""
    in_order = sorted(live, key=lambda job: (job.state != "running", job.started_at or job.created_at))
    return RoomPanel(
        discipline=queue["discipline"],
        paused=queue["paused"],
        draining=queue["draining"],
        waiting=queue["waiting"],
        running=queue["running"],
        people=[PersonRow.model_validate(person) for person in queue["participants"]],
        jobs=[job_row(job) for job in in_order],
        failed=[job_row(job) for job in failed],
    )


def workers_panel(workers: Iterable[Mapping[str, Any]]) -> WorkersPanel:
    """The workers from GET /api/workers."""
    rows = []
    for worker in workers:
        gpu = worker.get("gpu") or {}
        row = WorkerRow(
            name=worker["name"],
            state=worker["state"],
            job=worker.get("job"),
            last_seen=worker["last_seen"],
            comfyui_version=worker.get("comfyui_version", ""),
            rehearsal=worker.get("rehearsal", False),
            loaded_model=worker.get("loaded_model", ""),
            gpu=str(gpu.get("name", "")),
            memory_total=int(gpu.get("total") or 0),
            memory_free=int(gpu.get("free") or 0),
        )
        rows.append(row)
    return WorkersPanel(workers=sorted(rows, key=lambda row: row.name))


def progress_of(message: Mapping[str, Any]) -> Progress | None:
    """The node that runs, from ComfyUI's own `progress` or `progress_state`; None for other messages."""
    data = message.get("data") or {}
    if message.get("message") == "progress":
        return _progress(data.get("node"), data)
    if message.get("message") == "progress_state":
        nodes = (data.get("nodes") or {}).items()
        running = [(node, state) for node, state in nodes if state.get("state") == "running"]
        return _progress(*running[-1]) if running else None
    return None


def _progress(node: Any, state: Mapping[str, Any]) -> Progress | None:
    value, most = state.get("value"), state.get("max")
    if not isinstance(value, int | float) or not isinstance(most, int | float) or most <= 0:
        return None
    return Progress(node=str(node)[:64], value=value, max=most)
