"""The newer job routes: `/api/jobs` with its list, detail and cancel routes. Stock has them under `/api` only."""

import uuid
from typing import Any

from aiohttp import web

from services.domain.errors import InvalidInput
from services.frontend.stock_jobs import STATES_OF_STATUS, job_detail, job_summary
from services.frontend.workspace import json_answer, json_body, workspace

routes = web.RouteTableDef()

LISTED_JOBS = 1000
SORTS = ("created_at", "execution_duration")


class _BadQuery(Exception):
    """A query that stock answers with 400 and its own sentence."""


@routes.get("/api/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    """The participant's jobs in stock's form, filtered, sorted and cut to a page."""
    try:
        statuses, sort_by, descending, limit, offset = _query(request)
    except _BadQuery as error:
        return json_answer({"error": str(error)}, 400)
    space = workspace(request)
    states = ",".join(state for status in statuses for state in STATES_OF_STATUS[status])
    jobs = await space.queue.jobs(states, limit=LISTED_JOBS) if states else []
    space.jobs.note(jobs)
    wanted_workflow = request.query.get("workflow_id")
    if wanted_workflow:
        jobs = [job for job in jobs if await space.jobs.workflow_id(job["id"]) == wanted_workflow]
    jobs.sort(key=_created if sort_by == "created_at" else _duration, reverse=descending)
    page = jobs[offset : offset + limit] if limit is not None else jobs[offset:]
    rows = [job_summary(await space.jobs.whole(job), await space.jobs.workflow_id(job["id"])) for job in page]
    pagination = {"offset": offset, "limit": limit, "total": len(jobs), "has_more": offset + len(rows) < len(jobs)}
    return json_answer({"jobs": rows, "pagination": pagination})


@routes.get("/api/jobs/{job_id}")
async def read_job(request: web.Request) -> web.Response:
    """One own job, whole."""
    space = workspace(request)
    job = await space.queue.job(request.match_info["job_id"])
    if job is None:
        return json_answer({"error": "Job not found"}, 404)
    return json_answer(job_detail(job, await space.jobs.body(job["id"])))


@routes.post("/api/jobs/cancel")
async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel several own jobs; ended and unknown ones are passed over."""
    try:
        ids = (await json_body(request)).get("job_ids")
    except InvalidInput:
        return json_answer({"error": "Request body must be valid JSON"}, 400)
    if not isinstance(ids, list):
        return json_answer({"error": "job_ids must be a list"}, 400)
    invalid = [entry if isinstance(entry, str) else repr(entry) for entry in ids if not _is_job_id(entry)]
    if invalid:
        return json_answer({"error": "job_ids contains invalid id(s)", "invalid_ids": invalid}, 400)
    queue = workspace(request).queue
    cancelled = [await queue.cancel(job_id) for job_id in ids]
    return json_answer({"cancelled": any(cancelled)})


@routes.post("/api/jobs/{job_id}/cancel")
async def cancel_job(request: web.Request) -> web.Response:
    """Cancel one own job; false where there was nothing to cancel."""
    return json_answer({"cancelled": await workspace(request).queue.cancel(request.match_info["job_id"])})


def _query(request: web.Request) -> tuple[list[str], str, bool, int | None, int]:
    query = request.query
    statuses = [part.strip().lower() for part in query.get("status", "").split(",") if part.strip()]
    invalid = [status for status in statuses if status not in STATES_OF_STATUS]
    if invalid:
        valid = ", ".join(STATES_OF_STATUS)
        raise _BadQuery(f"Invalid status value(s): {', '.join(invalid)}. Valid values: {valid}")
    sort_by, order = query.get("sort_by", "created_at").lower(), query.get("sort_order", "desc").lower()
    if sort_by not in SORTS:
        raise _BadQuery("sort_by must be 'created_at' or 'execution_duration'")
    if order not in ("asc", "desc"):
        raise _BadQuery("sort_order must be 'asc' or 'desc'")
    limit = _integer(query.get("limit"), "limit")
    if limit is not None and limit <= 0:
        raise _BadQuery("limit must be a positive integer")
    offset = max(0, _integer(query.get("offset"), "offset") or 0)
    return statuses or list(STATES_OF_STATUS), sort_by, order == "desc", limit, offset


def _integer(text: str | None, field: str) -> int | None:
    try:
        return int(text[:12]) if text is not None else None
    except ValueError as error:
        raise _BadQuery(f"{field} must be an integer") from error


def _created(job: dict[str, Any]) -> int:
    return int(job["created_at"])


def _duration(job: dict[str, Any]) -> int:
    start, end = job.get("started_at"), job.get("ended_at")
    return int(end - start) if start and end else 0


def _is_job_id(entry: Any) -> bool:
    try:
        return isinstance(entry, str) and str(uuid.UUID(entry)) == entry
    except ValueError:
        return False
