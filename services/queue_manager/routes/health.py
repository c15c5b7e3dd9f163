"""Is it alive, is it ready, and its numbers. The only routes that are open to everybody are the first two."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.domain.errors import Unavailable
from services.queue_manager import metrics
from services.queue_manager.dependencies import AsAnybody, AsRoom, CredentialBook, Jobs, LeaseBell, Now, Redis, Workers
from services.queue_manager.schemas import Alive

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="The process answers")
async def healthz() -> Alive:
    """Answer as long as the process runs, whatever the store does."""
    return Alive()


@router.get("/readyz", summary="The store answers too")
async def readyz(redis: Redis, book: CredentialBook) -> Alive:
    """Answer 200 while requests can be served, 503 while Redis is away; it comes back by itself."""
    await redis.ping()
    if not book.is_current:
        raise Unavailable("The credentials are being read from the queue's store; try again in a moment.")
    return Alive()


@router.get("/openapi.json", summary="This documentation")
async def read_documentation(request: Request, _who: AsAnybody) -> dict[str, Any]:
    """Describe all routes in the form of OpenAPI 3.1."""
    schema: dict[str, Any] = request.app.openapi()
    return schema


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def read_metrics(_who: AsRoom, jobs: Jobs, workers: Workers, bell: LeaseBell, now: Now) -> Response:
    """Write the counters of this process and the state of the queue in Prometheus' text form."""
    body = metrics.render(await jobs.overview(now), await workers.counts(now), bell.waiting)
    return Response(body, media_type="text/plain; version=0.0.4")
