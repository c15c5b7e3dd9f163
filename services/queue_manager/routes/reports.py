"""What a worker reports about the job it holds: progress on the way, and how it ended.

Everything here takes the header X-Lease-Token; a token that is not the current one is answered 409 lease_lost. A
report of the end that is repeated with the token that ended the job gets the recorded state, because answers get
lost.
"""

from fastapi import APIRouter

from services.domain.job import JobState
from services.kit.strict_json import StrictRoute
from services.queue_manager import metrics
from services.queue_manager.dependencies import AsWorker, JobId, Jobs, LeaseToken, Now, Outputs
from services.queue_manager.files.outputs import OutputFiles
from services.queue_manager.schemas import CompleteBody, FailBody, ReturnBody, StateAnswer

router = APIRouter(prefix="/api/leases/{job_id}", tags=["leases"], route_class=StrictRoute)


@router.post("/complete", summary="Report success")
async def complete(
    job_id: JobId, token: LeaseToken, body: CompleteBody, who: AsWorker, jobs: Jobs, outputs: Outputs, now: Now
) -> StateAnswer:
    """End the job as succeeded; the outputs uploaded under this lease become visible to its owner."""
    state = await jobs.complete(
        job_id,
        token,
        now,
        outputs=await outputs.staged(job_id, token),
        executed=body.executed,
        cached_nodes=body.cached_nodes,
        run_ms=round(body.run_seconds * 1000),
    )
    return await _ended(job_id, state, outputs)


@router.post("/fail", summary="Report failure")
async def fail(
    job_id: JobId, token: LeaseToken, body: FailBody, _who: AsWorker, jobs: Jobs, outputs: Outputs, now: Now
) -> StateAnswer:
    """End the job as failed; a retryable failure sends it back to the front of its line, up to three attempts."""
    return await _ended(job_id, await jobs.fail(job_id, token, now, body.error, body.retryable), outputs)


@router.post("/cancelled", summary="Report that the job was stopped")
async def cancelled(
    job_id: JobId, token: LeaseToken, _who: AsWorker, jobs: Jobs, outputs: Outputs, now: Now
) -> StateAnswer:
    """Say that the job was stopped as asked: it is cancelled, or queued again after a preemption."""
    return await _ended(job_id, await jobs.cancelled(job_id, token, now), outputs)


@router.post("/return", summary="Hand the job back")
async def give_back(
    job_id: JobId, token: LeaseToken, body: ReturnBody, _who: AsWorker, jobs: Jobs, outputs: Outputs, now: Now
) -> StateAnswer:
    """Give the job back untouched, for example while draining; the attempt does not count."""
    return await _ended(job_id, await jobs.give_back(job_id, token, now, body.reason), outputs)


async def _ended(job_id: str, state: JobState, outputs: OutputFiles) -> StateAnswer:
    """Bring the files in line with what is on record now, and answer that."""
    if state.is_final:
        metrics.ENDED.labels(state).inc()
        await outputs.publish(job_id)
    return StateAnswer(state=state)
