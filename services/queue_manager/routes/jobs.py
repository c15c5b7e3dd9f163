"""Jobs: batch submit, list, read, cancel, requeue, delete; and what the instructor may do to one. Submit is a hot
route.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.domain.errors import Conflict, Forbidden, InvalidInput
from services.domain.job import Job, JobState
from services.domain.names import NAME_PATTERN, Role
from services.kit.strict_json import StrictRoute, read_body
from services.queue_manager import metrics
from services.queue_manager.dependencies import (
    AsInstructor,
    AsReader,
    AsSubmitter,
    Bodies,
    JobId,
    Jobs,
    Now,
    Outputs,
    ParityCheck,
    Settings,
    Views,
    owned_job,
    visible_job,
)
from services.queue_manager.intake import decode_batch, idempotency_key, new_job
from services.queue_manager.schemas import (
    Cancelled,
    CancelMany,
    EnqueuedBatch,
    EnqueuedView,
    JobPage,
    JobView,
    PriorityBody,
)

router = APIRouter(prefix="/api/jobs", tags=["jobs"], route_class=StrictRoute)

MAX_PAGE = 200
BATCH_FACTOR = 4
"""A batch may be this many times as large as one submit: a hundred jobs, most of them small."""


@router.post("/batch", status_code=202, summary="Submit several jobs, all or none")
async def submit_batch(
    request: Request, who: AsSubmitter, jobs: Jobs, parity: ParityCheck, settings: Settings, now: Now
) -> EnqueuedBatch:
    """Take up to 100 jobs in, or none of them: one that is refused refuses all."""
    key = idempotency_key(request.headers.get("idempotency-key", "").encode("latin-1"))
    envelopes = decode_batch(await read_body(request, BATCH_FACTOR * settings.max_workflow_bytes))
    batch = [
        await new_job(parity, who, envelope, f"{key}:{number}" if key else "")
        for number, envelope in enumerate(envelopes)
    ]
    if len({job.id for job in batch}) != len(batch):
        raise InvalidInput("Two jobs of the field jobs have the same id; give each its own, or none.")
    enqueued = await jobs.enqueue_batch(batch, now)
    for entry in enqueued:
        if not entry.duplicate:
            metrics.SUBMITTED.inc()
            metrics.WAITING.submitted(entry.id)
    return EnqueuedBatch(
        jobs=[EnqueuedView(id=e.id, number=e.number, state=e.state, duplicate=e.duplicate) for e in enqueued]
    )


@router.get("", summary="List jobs, newest first")
async def list_jobs(
    who: AsReader,
    jobs: Jobs,
    views: Views,
    now: Now,
    state: Annotated[str, Query(max_length=100, examples=["queued,running"])] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    before: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
    participant: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=32)] = None,
) -> JobPage:
    """A participant's own jobs; instructor and operator see everybody's, or those of one `participant`."""
    if who.role is Role.PARTICIPANT:
        if participant not in (None, who.name):
            raise Forbidden("The query parameter participant is for instructor and operator; leave it out.")
        participant = who.name
    found, following = await jobs.jobs_of(participant, _states(state), limit, before)
    return JobPage(jobs=await asyncio.gather(*(views.brief(job, now) for job in found)), next=following)


def _states(text: str) -> list[JobState]:
    try:
        return [JobState(word) for word in text.split(",") if word]
    except ValueError:
        names = ", ".join(JobState)
        raise InvalidInput(f"The query parameter state must hold {names}, separated by commas.") from None


@router.post("/cancel", summary="Cancel one's own jobs")
async def cancel_own(body: CancelMany, who: AsSubmitter, jobs: Jobs, now: Now) -> Cancelled:
    """Cancel all one's own jobs in these states; without a body's `states`, the waiting ones."""
    states = [JobState(state) for state in dict.fromkeys(body.states)]
    done: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page, cursor = await jobs.jobs_of(who.name, states, MAX_PAGE, cursor)
        for job in page:
            await jobs.cancel(job.id, now)
            done.append(job.id)
    return Cancelled(cancelled=done)


@router.get("/{job_id}", summary="Read a job")
async def read_job(job_id: JobId, who: AsReader, jobs: Jobs, views: Views, now: Now) -> JobView:
    """The record of a job; while it waits with its place, its expected end and the reason why it waits."""
    return await views.full(await visible_job(jobs, job_id, who), now)


@router.get("/{job_id}/workflow", summary="Read a job's workflow", response_class=Response)
async def read_workflow(job_id: JobId, who: AsReader, jobs: Jobs, views: Views) -> Response:
    """`{"workflow": ..., "extra_data": ...}`, byte for byte as it was submitted."""
    job = await visible_job(jobs, job_id, who)
    return Response(await views.workflow(job), media_type="application/json")


@router.post("/{job_id}/cancel", summary="Cancel a job")
async def cancel_job(job_id: JobId, who: AsSubmitter, jobs: Jobs, views: Views, now: Now) -> JobView:
    """A waiting job is cancelled at once, a running one as soon as its worker has stopped it; an ended one stays."""
    await owned_job(jobs, job_id, who)
    await jobs.cancel(job_id, now)
    return await _view(jobs, views, job_id, who, now)


@router.post("/{job_id}/requeue", summary="Queue an ended job again")
async def requeue_job(job_id: JobId, who: AsSubmitter, jobs: Jobs, views: Views, now: Now) -> JobView:
    """Give a dead, failed or cancelled job three new attempts, under the same id."""
    job = await owned_job(jobs, job_id, who)
    if job.state not in (JobState.DEAD, JobState.FAILED, JobState.CANCELLED):
        raise Conflict(f"The job is {job.state}; only dead, failed and cancelled jobs can be queued again.")
    await views.requeue(job, now)
    return await _view(jobs, views, job_id, who, now)


@router.delete("/{job_id}", status_code=204, summary="Delete an ended job")
async def delete_job(job_id: JobId, who: AsSubmitter, jobs: Jobs, outputs: Outputs, archive: Bodies) -> None:
    """Remove the record, the workflow and the outputs of an ended job."""
    job = await owned_job(jobs, job_id, who)
    if not job.state.is_final:
        raise Conflict(f"The job is {job.state}; cancel it first, then delete it.")
    await jobs.delete(job_id)
    await outputs.remove(job.participant, job_id)
    await archive.remove(job.participant, job_id)


@router.post("/{job_id}/run-next", tags=["room"], summary="Let a job run next")
async def run_next(job_id: JobId, who: AsInstructor, jobs: Jobs, views: Views, now: Now) -> JobView:
    """Let a waiting job overtake all others, whatever the discipline."""
    await visible_job(jobs, job_id, who)
    await jobs.run_next(job_id, now)
    return await _view(jobs, views, job_id, who, now)


@router.post("/{job_id}/preempt", tags=["room"], summary="Take a running job off its worker")
async def preempt(job_id: JobId, who: AsInstructor, jobs: Jobs, views: Views, now: Now) -> JobView:
    """Stop a running job and put it back to the front of its owner's line; the attempt does not count."""
    await visible_job(jobs, job_id, who)
    await jobs.preempt(job_id, now)
    return await _view(jobs, views, job_id, who, now)


@router.put("/{job_id}/priority", tags=["room"], summary="Set a job's class")
async def set_priority(
    job_id: JobId, body: PriorityBody, who: AsInstructor, jobs: Jobs, views: Views, now: Now
) -> JobView:
    """Set the class of a waiting job; it counts under the discipline `priority`."""
    await visible_job(jobs, job_id, who)
    await jobs.set_priority(job_id, body.priority, now)
    return await _view(jobs, views, job_id, who, now)


async def _view(jobs: Jobs, views: Views, job_id: str, who: AsReader, now: int) -> JobView:
    """The job as it is after a change."""
    job: Job = await visible_job(jobs, job_id, who)
    return await views.full(job, now)
