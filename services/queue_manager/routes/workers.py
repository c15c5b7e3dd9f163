"""Workers: they come, say what they have, drain and leave. Each speaks for the name of its credential only."""

from typing import Annotated

from fastapi import APIRouter, Path

from services.domain.errors import Forbidden
from services.domain.names import NAME_PATTERN
from services.kit.strict_json import StrictRoute
from services.queue_manager.dependencies import AsRoom, AsWorker, Extensions, Now, Settings, Workers
from services.queue_manager.schemas import DrainingBody, Registered, WorkerProfile, WorkerView

router = APIRouter(prefix="/api/workers", tags=["workers"], route_class=StrictRoute)

WorkerName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=32, examples=["gpu-1"])]


def check_own_name(who: AsWorker, name: str) -> None:
    """Refuse a worker that speaks about another one; raises Forbidden."""
    if who.name != name:
        raise Forbidden(f"This credential speaks for the worker {who.name} only; use that name in the address.")


@router.get("", summary="List the workers")
async def list_workers(_who: AsRoom, workers: Workers, now: Now) -> list[WorkerView]:
    """All registered workers with what they do now; `lost` is one that was not heard of for a while."""
    return await workers.views(now)


@router.put("/{name}", summary="Register a worker")
async def register(
    name: WorkerName,
    body: WorkerProfile,
    who: AsWorker,
    workers: Workers,
    extensions: Extensions,
    settings: Settings,
    now: Now,
) -> Registered:
    """Say what this worker has: ComfyUI's version, GPU, models, and the digest of its node catalogue."""
    check_own_name(who, name)
    needed = await workers.register(name, body, now)
    files_needed = await extensions.register(name, body.extensions_sha256)
    return Registered(catalogue_needed=needed, extensions_needed=files_needed, lease_seconds=settings.lease_seconds)


@router.put("/{name}/draining", status_code=204, summary="Drain, or stop draining")
async def set_draining(name: WorkerName, body: DrainingBody, who: AsWorker, workers: Workers, now: Now) -> None:
    """Say that this worker takes no further job; it finishes what it has."""
    check_own_name(who, name)
    await workers.set_draining(name, body.draining, now)


@router.delete("/{name}", status_code=204, summary="Leave")
async def leave(name: WorkerName, who: AsWorker, workers: Workers) -> None:
    """Take this worker off the list; its catalogue is kept."""
    check_own_name(who, name)
    await workers.leave(name)
