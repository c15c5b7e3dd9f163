"""Tells the page where its waiting jobs stand: place, estimate and reason.

The stock page shows a `notification` beside a waiting job; our own extension shows the rest in words.
"""

import asyncio
from typing import Any

from services.domain.errors import WorkshopError
from services.frontend.workspace import Workspace

EVERY_SECONDS = 3.0


async def tell_waiting(space: Workspace) -> None:
    """Look every few seconds while somebody looks at a page and a job waits; say once when none waits any more."""
    told: list[dict[str, Any]] = []
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        if len(space.sockets) == 0:
            continue
        try:
            places = await _places(space)
        except WorkshopError:
            continue
        if places:
            space.sockets.broadcast("notification", {"value": places[0]["message"], "id": places[0]["job"]})
        if places or told:
            space.sockets.broadcast("workshop", {"event": "waiting", "jobs": places})
        told = places


async def _places(space: Workspace) -> list[dict[str, Any]]:
    places = []
    for job_id in space.live.waiting():
        job = await space.queue.job(job_id)
        if job is not None and job["state"] == "queued":
            places.append(_place(job))
    return places


def _place(job: dict[str, Any]) -> dict[str, Any]:
    because = job.get("waiting_because") or {}
    return {
        "job": job["id"],
        "number": job["number"],
        "position": job.get("position"),
        "eta_seconds": job.get("eta_seconds"),
        "message": because.get("message") or "Waiting for your turn",
    }
