"""/api/jobs: the newer view of queue and history, and cancelling through it."""

from typing import Any

from aiohttp import web

from services.worker.rehearsal.engine import Engine
from services.worker.rehearsal.server import job_view
from services.worker.rehearsal.server.ids import is_job_id
from services.worker.rehearsal.server.keys import engine_of

routes = web.RouteTableDef()


class BadQuery(ValueError):
    """A query parameter is not allowed; the message is the answer."""


@routes.get("/api/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    """Running, waiting and finished prompts, filtered, sorted and in pages."""
    try:
        statuses = _statuses(request.query.get("status"))
        sort_by = _one_of(request, "sort_by", ("created_at", "execution_duration"))
        sort_order = _one_of(request, "sort_order", ("desc", "asc"))
        limit = _integer(request, "limit")
        offset = max(_integer(request, "offset") or 0, 0)
        if limit is not None and limit <= 0:
            raise BadQuery("limit must be a positive integer")
    except BadQuery as error:
        return web.json_response({"error": str(error)}, status=400)
    engine = engine_of(request)
    jobs = [job for job in _jobs(engine) if job["status"] in statuses]
    workflow_id = request.query.get("workflow_id")
    if workflow_id:
        jobs = [job for job in jobs if job.get("workflow_id") == workflow_id]
    jobs.sort(
        key=job_view.duration if sort_by == "execution_duration" else job_view.created, reverse=sort_order == "desc"
    )
    page = jobs[offset:][:limit]
    more = offset + len(page) < len(jobs)
    pagination = {"offset": offset, "limit": limit, "total": len(jobs), "has_more": more}
    return web.json_response({"jobs": page, "pagination": pagination})


@routes.get("/api/jobs/{job_id}")
async def get_job(request: web.Request) -> web.Response:
    """One prompt with its outputs, messages and workflow."""
    job_id = request.match_info["job_id"]
    queue = engine_of(request).queue
    entry = queue.history_of(job_id).get(job_id)
    if entry:
        return web.json_response(job_view.finished(job_id, entry, full=True))
    for status, items in ((job_view.IN_PROGRESS, queue.running()), (job_view.PENDING, queue.waiting())):
        for item in items:
            if item.prompt_id == job_id:
                return web.json_response(job_view.queued(item, status))
    return web.json_response({"error": "Job not found"}, status=404)


@routes.post("/api/jobs/{job_id}/cancel")
async def cancel_job(request: web.Request) -> web.Response:
    """Stop one prompt, whatever its state; an ended or unknown one is left alone."""
    return web.json_response({"cancelled": _cancel(engine_of(request), request.match_info["job_id"])})


@routes.post("/api/jobs/cancel")
async def cancel_jobs(request: web.Request) -> web.Response:
    """Stop several prompts."""
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return web.json_response({"error": "Request body must be valid JSON"}, status=400)
    ids = body.get("job_ids") if isinstance(body, dict) else None
    if not isinstance(ids, list):
        return web.json_response({"error": "job_ids must be a list"}, status=400)
    wrong = [value if isinstance(value, str) else repr(value) for value in ids if not is_job_id(value)]
    if wrong:
        return web.json_response({"error": "job_ids contains invalid id(s)", "invalid_ids": wrong}, status=400)
    cancelled = [_cancel(engine_of(request), job_id) for job_id in ids]
    return web.json_response({"cancelled": any(cancelled)})


def _cancel(engine: Engine, job_id: str) -> bool:
    """Interrupt or drop one prompt; False when it has ended or never was."""
    queue = engine.queue
    return (
        queue.if_running(job_id, engine.interrupt.ask)
        or queue.delete(job_id)
        # It may have begun to run between the two looks.
        or queue.if_running(job_id, engine.interrupt.ask)
    )


def _jobs(engine: Engine) -> list[dict[str, Any]]:
    queue = engine.queue
    return [
        *(job_view.queued(item, job_view.IN_PROGRESS) for item in queue.running()),
        *(job_view.queued(item, job_view.PENDING) for item in queue.waiting()),
        *(job_view.finished(prompt_id, entry) for prompt_id, entry in queue.history().items()),
    ]


def _statuses(text: str | None) -> list[str]:
    asked = [word.strip().lower() for word in (text or "").split(",") if word.strip()]
    wrong = [word for word in asked if word not in job_view.STATUSES]
    if wrong:
        raise BadQuery(f"Invalid status value(s): {', '.join(wrong)}. Valid values: {', '.join(job_view.STATUSES)}")
    return asked or list(job_view.STATUSES)


def _one_of(request: web.Request, name: str, allowed: tuple[str, str]) -> str:
    value = request.query.get(name, allowed[0]).lower()
    if value not in allowed:
        raise BadQuery(f"{name} must be {' or '.join(repr(word) for word in sorted(allowed))}")
    return value


def _integer(request: web.Request, name: str) -> int | None:
    try:
        return int(request.query[name]) if name in request.query else None
    except ValueError as error:
        raise BadQuery(f"{name} must be an integer") from error
