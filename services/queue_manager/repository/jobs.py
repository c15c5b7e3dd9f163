"""`JobRepository`: the queue verbs, put together from submit, leases, control and reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.domain.job import Discipline, Job, JobError, JobState, Lease, OutputFile, Priority
from services.kit.redis_connection import RedisConnection
from services.queue_manager.repository.records import (
    Enqueued,
    Extended,
    NewJob,
    ParticipantCounts,
    Place,
    QueueOverview,
    QueueSettings,
)
from services.queue_manager.scripts import Scripts


class JobRepository:
    """All jobs of the workshop. `now` is always unix milliseconds; every method raises Unavailable without Redis."""

    def __init__(self, redis: RedisConnection, scripts: Scripts) -> None:
        self._redis = redis
        self._scripts = scripts

    async def enqueue(self, job: NewJob, now: int) -> Enqueued:
        """Take one job in. Raises LimitReached (waiting cap), Conflict (id of somebody else), StorageFull."""
        raise NotImplementedError

    async def enqueue_batch(self, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
        """Take several jobs of one participant in, all or none; raises like `enqueue`."""
        raise NotImplementedError

    async def lease(
        self, worker: str, pools: Sequence[str], loaded_model: str, token: str, now: int, lease_ms: int
    ) -> tuple[Lease, bytes] | None:
        """Give the next job of these pools to the worker, with its workflow; None when there is none for it."""
        raise NotImplementedError

    async def extend_lease(self, job_id: str, token: str, now: int, lease_ms: int) -> Extended:
        """Keep a job leased for `lease_ms` from now. Raises LeaseLost."""
        raise NotImplementedError

    async def holds_lease(self, job_id: str, token: str) -> str:
        """The owner of the job that this token leases. Raises LeaseLost."""
        raise NotImplementedError

    async def complete(
        self,
        job_id: str,
        token: str,
        now: int,
        *,
        outputs: Sequence[OutputFile] = (),
        executed: Mapping[str, Any] | None = None,
        cached_nodes: Sequence[str] = (),
        run_ms: int = 0,
        loaded_model: str = "",
    ) -> JobState:
        """Record success and the files; a repeat with the token that ended the job answers the recorded state."""
        raise NotImplementedError

    async def fail(self, job_id: str, token: str, now: int, error: JobError, retryable: bool) -> JobState:
        """Record a failure; a retryable one sends the job back to the front of its line, or to `dead`."""
        raise NotImplementedError

    async def cancelled(self, job_id: str, token: str, now: int) -> JobState:
        """The worker stopped the job as it was told to: cancelled, or queued again after a preemption."""
        raise NotImplementedError

    async def give_back(self, job_id: str, token: str, now: int, reason: str) -> JobState:
        """The worker returns the job untouched; the attempt does not count."""
        raise NotImplementedError

    async def cancel(self, job_id: str, now: int) -> JobState:
        """Cancel: a waiting job at once; for a running one the worker is told. Raises NotFound."""
        raise NotImplementedError

    async def requeue(self, job_id: str, now: int) -> None:
        """Queue a dead, failed or cancelled job again under its id. Raises NotFound, Conflict."""
        raise NotImplementedError

    async def run_next(self, job_id: str, now: int) -> None:
        """Let a waiting job overtake all, in every discipline. Raises NotFound, Conflict."""
        raise NotImplementedError

    async def preempt(self, job_id: str, now: int) -> None:
        """Tell the worker to stop and hand the job back, to the front of its line. Raises NotFound, Conflict."""
        raise NotImplementedError

    async def set_priority(self, job_id: str, priority: Priority, now: int) -> None:
        """Change the class of a waiting job. Raises NotFound, Conflict."""
        raise NotImplementedError

    async def reap(self, now: int, limit: int = 100) -> list[str]:
        """Take back expired leases: front of the owner's line, dead after MAX_ATTEMPTS. Answers the job ids."""
        raise NotImplementedError

    async def forget_ended(self, now: int, limit: int = 100) -> list[tuple[str, str]]:
        """Drop the traces of ended jobs whose time is over; answers (participant, job id), for the files' sake."""
        raise NotImplementedError

    async def job(self, job_id: str) -> Job | None:
        """The record of a job."""
        raise NotImplementedError

    async def workflow(self, job_id: str) -> bytes | None:
        """The raw `{"workflow", "extra_data"}` of a job, while Redis holds it."""
        raise NotImplementedError

    async def jobs_of(
        self, participant: str | None, states: Sequence[JobState] = (), limit: int = 50, before: str = ""
    ) -> tuple[list[Job], str | None]:
        """Jobs newest first, of one participant or (None) of all, and the cursor of the next page."""
        raise NotImplementedError

    async def delete(self, job_id: str) -> None:
        """Remove an ended job's record and workflow. Raises NotFound, Conflict (not ended)."""
        raise NotImplementedError

    async def place(self, job_id: str, now: int) -> Place | None:
        """Where a waiting job stands; None when it does not wait."""
        raise NotImplementedError

    async def settings(self) -> QueueSettings:
        """What the instructor has set."""
        raise NotImplementedError

    async def overview(self, now: int) -> QueueOverview:
        """The room at a glance: everybody who has waiting or running jobs, or ended some today."""
        raise NotImplementedError

    async def participant_counts(self, name: str, now: int) -> ParticipantCounts:
        """One participant's counts and caps."""
        raise NotImplementedError

    async def set_discipline(self, discipline: Discipline, now: int) -> None:
        """Switch the rule; effective at once for jobs already waiting."""
        raise NotImplementedError

    async def set_paused(self, paused: bool, now: int) -> None:
        """Stop or resume handing out jobs."""
        raise NotImplementedError

    async def set_draining(self, draining: bool, now: int) -> None:
        """Like paused, but says that the room is being emptied."""
        raise NotImplementedError

    async def set_caps(self, participant: str | None, waiting: int | None, running: int | None, now: int) -> None:
        """Set the room's caps (participant None) or one participant's own; a None cap stays as it is."""
        raise NotImplementedError

    async def new_session(self, now: int) -> None:
        """Forget who was served when."""
        raise NotImplementedError

    async def publish(self, participant: str, type_: str, job_id: str, data: Mapping[str, Any], now: int) -> None:
        """Append one event to a participant's stream."""
        raise NotImplementedError

    async def publish_to_room(self, type_: str, data: Mapping[str, Any], now: int) -> None:
        """Append one event for everybody."""
        raise NotImplementedError

    async def pools(self) -> list[str]:
        """Pools that have waiting jobs."""
        raise NotImplementedError

    async def waiting_in_pool(self, pool: str, limit: int = 500, after: str = "") -> tuple[list[str], str | None]:
        """Ids of a pool's waiting jobs in pages, and the cursor of the next page."""
        raise NotImplementedError

    async def move_to_pool(self, job_id: str, pool: str, now: int) -> bool:
        """Let a waiting job wait in another pool, at the same place of its line; False when it does not wait."""
        raise NotImplementedError

    async def forget_participant(self, name: str, now: int) -> list[str]:
        """Cancel all his jobs (waiting at once, running by telling the worker); answers their ids."""
        raise NotImplementedError
