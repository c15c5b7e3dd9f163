"""The older job routes: `/queue`, `/history`, `/interrupt`, `/free`."""

import asyncio
from typing import Any

from aiohttp import web

from services.domain.errors import InvalidInput
from services.frontend.stock_history import ENDED_STATES, OPEN_STATES, Job, ever_started, history_item, prompt_tuple
from services.frontend.workspace import Workspace, json_answer, json_body, workspace

routes = web.RouteTableDef()

HISTORY_LENGTH = 1000
"""Entries answered when the client names no limit; stock keeps 10,000 in memory, the queue keeps a week."""


@routes.get("/queue")
async def read_queue(request: web.Request) -> web.Response:
    """The participant's running and waiting jobs, whole, in the order in which they will run."""
    space = workspace(request)
    jobs = await space.queue.jobs(OPEN_STATES, limit=1000)
    outputs = await space.catalogue.output_classes()
    entries: dict[str, list[Any]] = {"queue_running": [], "queue_pending": []}
    for job in reversed(jobs):
        place = "queue_running" if job["state"] == "running" else "queue_pending"
        entries[place].append(prompt_tuple(job, await space.jobs.body(job["id"]), job["number"], outputs))
    return json_answer(entries)


@routes.post("/queue")
async def change_queue(request: web.Request) -> web.Response:
    """Cancel waiting jobs: all (`clear`) or some (`delete`); ids of others are no ids here."""
    space, body = workspace(request), await json_body(request)
    waiting = {job["id"] for job in await space.queue.jobs("queued", limit=1000)}
    named = waiting if body.get("clear") else waiting & set(_ids(body, "delete"))
    await asyncio.gather(*(space.queue.cancel(job_id) for job_id in named))
    return web.Response()


@routes.post("/interrupt")
async def interrupt(request: web.Request) -> web.Response:
    """Interrupt one's own running job: the one that is named, or whichever runs, also where the body makes no sense."""
    space = workspace(request)
    try:
        body = await json_body(request)
    except InvalidInput:
        body = {}
    running = [job["id"] for job in await space.queue.jobs("running")]
    named = body.get("prompt_id")
    for job_id in running:
        if not named or job_id == named:
            await space.queue.cancel(job_id)
    return web.Response()


@routes.post("/free")
async def free(request: web.Request) -> web.Response:
    """Accepted and ignored: the workers' memory is everybody's, and they free it themselves."""
    await json_body(request)
    return web.Response()


@routes.get("/history")
async def read_history(request: web.Request) -> web.Response:
    """The participant's ended jobs by id, the oldest first.

    As in stock, `offset` skips the oldest ones, and without it `max_items` keeps the newest.
    """
    space = workspace(request)
    limit, offset = _number(request, "max_items", HISTORY_LENGTH), _number(request, "offset", -1)
    wanted = HISTORY_LENGTH if offset >= 0 else min(limit, HISTORY_LENGTH)
    cancelled = await space.queue.jobs("cancelled", limit=wanted)
    jobs = await space.queue.jobs("succeeded,failed,dead", limit=wanted)
    jobs += [job for job in cancelled if ever_started(job)]
    space.jobs.note(jobs)
    jobs.sort(key=lambda job: job.get("ended_at") or 0)
    start = offset if offset >= 0 else max(0, len(jobs) - limit)
    return json_answer(await _entries(space, jobs[start : start + limit]))


@routes.get("/history/{prompt_id}")
async def read_history_entry(request: web.Request) -> web.Response:
    """One ended job; an empty object for any other id, as stock answers."""
    space = workspace(request)
    job = await space.queue.job(request.match_info["prompt_id"])
    told = job is not None and job["state"] in ENDED_STATES.split(",") and ever_started(job)
    return json_answer(await _entries(space, [job]) if job is not None and told else {})


@routes.post("/history")
async def change_history(request: web.Request) -> web.Response:
    """Delete ended jobs with their files: all (`clear`) or some (`delete`)."""
    space, body = workspace(request), await json_body(request)
    ended = {job["id"] for job in await space.queue.jobs(ENDED_STATES, limit=HISTORY_LENGTH)}
    named = ended if body.get("clear") else ended & set(_ids(body, "delete"))
    for job_id in named:
        await space.queue.ask("DELETE", f"/api/jobs/{job_id}")
    return web.Response()


async def _entries(space: Workspace, jobs: list[Job]) -> dict[str, Any]:
    outputs = await space.catalogue.output_classes()
    return {
        job["id"]: history_item(await space.jobs.whole(job), await space.jobs.body(job["id"]), outputs) for job in jobs
    }


def _ids(body: dict[str, Any], field: str) -> list[str]:
    ids = body.get(field) or []
    if not isinstance(ids, list) or not all(isinstance(entry, str) for entry in ids):
        raise InvalidInput(f"{field}: this is not a list of ids; send a list of strings.")
    return ids


def _number(request: web.Request, field: str, default: int) -> int:
    text = request.query.get(field)
    if text is None:
        return default
    if not text.removeprefix("-").isdecimal() or len(text) > 9:
        raise InvalidInput(f"{field}: this is not a number; send a whole number.")
    return int(text) if field == "offset" else max(0, int(text))
