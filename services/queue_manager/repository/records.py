"""What goes into the job repository and what comes out of it, beside the domain's Job and Lease.

Plain frozen records. All times are unix milliseconds, all durations milliseconds unless the name says seconds.
"""

from dataclasses import dataclass

import msgspec

from services.domain.job import Discipline, InputFile, JobState, Priority

ANY_POOL = "any"
"""The pool of jobs that were submitted while no catalogue was known; every worker leases from it."""


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job as its owner asks for it; everything in it has been validated."""

    id: str
    participant: str
    workflow: bytes
    """The raw `{"workflow": ..., "extra_data": ...}`; delivered to the worker byte for byte."""
    pool: str = ANY_POOL
    """The set of worker profiles that are able to run it."""
    kind: str = ""
    """Jobs of one kind take about the same time; used for estimates only."""
    model: str = ""
    """Signature of the models it loads, "" for none; a worker that has them loaded is preferred."""
    inputs: tuple[InputFile, ...] = ()
    priority: Priority = Priority.NORMAL
    label: str = ""
    client_id: str = ""
    front: bool = False
    partial_execution_targets: tuple[str, ...] = ()
    idempotency_key: str = ""


@dataclass(frozen=True)
class Enqueued:
    """The answer to a submit; `duplicate` when the same id or idempotency key was there before."""

    id: str
    number: int
    state: JobState
    duplicate: bool


@dataclass(frozen=True)
class Extended:
    """The answer to a heartbeat; `stop` says why the worker shall stop: "cancelled", "preempted" or None."""

    expires_at: int
    stop: str | None


@dataclass(frozen=True)
class Place:
    """Where a waiting job stands in its pool. `scheduler` and `estimates` turn it into words and seconds."""

    position: int
    """How many jobs are expected to start before it; exact up to 64 people waiting in the pool, an estimate beyond."""
    pool: str
    at_running_cap: bool
    """Its owner runs as many jobs as he may while others wait, and others do wait."""
    run_next: bool
    running_cap: int
    """How many jobs its owner may run while others wait."""
    model: str
    """Signature of the models it loads, "" for none."""
    mean_ms: int | None
    """Mean of the last run times in this pool, all kinds together; None while nothing was measured."""
    own_ms: int | None
    """Expected run time of the job itself once its models are loaded; None while nothing was measured."""
    cold_ms: int | None
    """Expected run time when its models must be loaded first; None while that was not measured."""


@dataclass(frozen=True)
class QueueSettings:
    """What the instructor can switch."""

    discipline: Discipline = Discipline.ROUND_ROBIN
    paused: bool = False
    draining: bool = False
    waiting_cap: int = 32
    running_cap: int = 1


@dataclass(frozen=True)
class ParticipantCounts:
    """How much one participant has in the queue, and what he may have (own caps, or the room's)."""

    name: str
    waiting: int
    running: int
    ended_today: int
    waiting_cap: int
    running_cap: int


@dataclass(frozen=True)
class QueueOverview:
    """The room at a glance."""

    settings: QueueSettings
    waiting: int
    running: int
    participants: tuple[ParticipantCounts, ...]
