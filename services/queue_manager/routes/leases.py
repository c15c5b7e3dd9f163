"""A running job from its worker's side: the heartbeat. Taking a lease is a hot route, reports of the end are in
reports.py.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.kit.strict_json import StrictRoute
from services.queue_manager.dependencies import AsWorker, JobId, Jobs, LeaseToken, Now, Settings, Stops, Workers
from services.queue_manager.hot_routes import until_gone
from services.queue_manager.schemas import HeartbeatAnswer

router = APIRouter(prefix="/api/leases", tags=["leases"], route_class=StrictRoute)

MAX_WAIT_SECONDS = 10.0


@router.post("/{job_id}/heartbeat", summary="Keep a lease")
async def heartbeat(
    job_id: JobId,
    token: LeaseToken,
    request: Request,
    who: AsWorker,
    jobs: Jobs,
    stops: Stops,
    workers: Workers,
    settings: Settings,
    now: Now,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False)] = 0,
) -> HeartbeatAnswer:
    """Extend the lease and say whether the job is to stop; with `wait`, answer late, but at once when it is to stop.

    The lease is extended when the request comes and not again when it is answered: a worker that dies while it waits
    here does not get more time.
    """
    lease_ms = int(settings.lease_seconds * 1000)
    workers.seen(who.name, now)
    parked = stops.park(job_id)
    gone = asyncio.ensure_future(until_gone(request.receive))
    try:
        held = await jobs.extend_lease(job_id, token, now, lease_ms)
        if held.stop is None and wait > 0:
            await asyncio.wait({parked, gone}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if parked.done():
                held = await jobs.extend_lease(job_id, token, now, lease_ms)
    finally:
        gone.cancel()
        stops.leave(job_id, parked)
    return HeartbeatAnswer.model_validate({"expires_at": held.expires_at, "stop": held.stop})
