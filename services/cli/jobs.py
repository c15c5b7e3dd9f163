"""Jobs as the command line sees them: found by number or by the beginning of their id, and put into words."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from services.cli.render import duration_text
from services.domain.errors import InvalidInput, NotFound
from services.domain.job import Job, JobState
from services.kit.api_client import ApiClient

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PAGE = 200


class Reason(BaseModel):
    """Why a job waits."""

    code: str
    message: str


class JobView(Job):
    """A job's record together with its place in the queue."""

    position: int | None = Field(default=None, description="how many jobs are expected to start before this one")
    eta_seconds: float | None = None
    waiting_because: Reason | None = None


def read_job(api: ApiClient, job_id: str) -> JobView:
    """Return the job with this full id."""
    return JobView.model_validate(api.get(f"/api/jobs/{job_id}"))


def pages(api: ApiClient, **filters: str | int | None) -> Iterator[list[dict[str, Any]]]:
    """Yield the jobs that the credential may see, newest first, a page at a time."""
    before: str | None = None
    while True:
        answer = api.get("/api/jobs", before=before, **{"limit": _PAGE, **filters})
        yield answer["jobs"]
        before = answer["next"]
        if not before:
            return


def find_id(api: ApiClient, reference: str) -> str:
    """Return the full id of the job that `reference` names: its number, its id or the beginning of its id.

    Raises NotFound, or InvalidInput when several jobs fit.
    """
    if _UUID.fullmatch(reference):
        return reference
    if not re.fullmatch(r"[0-9a-f-]{1,36}", reference):
        raise InvalidInput(f"{reference!r} names no job. Give its number (7) or the beginning of its id (3f2a).")
    jobs = [job for page in pages(api) for job in page]
    fitting = [job["id"] for job in jobs if reference.isdecimal() and job["number"] == int(reference)]
    if not fitting:
        fitting = [job["id"] for job in jobs if job["id"].startswith(reference)]
    if not fitting:
        raise NotFound(f"You have no job {reference}. `comfyume status` lists your jobs.")
    if len(fitting) > 1:
        raise InvalidInput(f"{reference} fits {len(fitting)} jobs. Give more of the id: `comfyume status` shows them.")
    return str(fitting[0])


def waiting_text(job: JobView) -> str:
    """Say where a waiting job stands and why."""
    words = []
    if job.position is not None:
        words.append(f"{job.position} before it" if job.position else "next")
    if job.eta_seconds is not None:
        words.append(f"done in about {duration_text(job.eta_seconds)}")
    if job.waiting_because is not None:
        words.append(job.waiting_because.message.rstrip("."))
    return ", ".join(words)


def detail_text(job: JobView) -> str:
    """Say in one line what there is to say about a job beyond its state."""
    if job.state is JobState.QUEUED:
        return waiting_text(job)
    if job.state is JobState.RUNNING:
        return f"on {job.worker}" + (f", attempt {job.attempt}" if job.attempt > 1 else "")
    if job.error is not None:
        node = f" (node {job.error.node_id})" if job.error.node_id else ""
        return f"{job.error.message}{node}"
    if job.state is JobState.SUCCEEDED:
        count = len(job.outputs)
        return f"{count} file{'' if count == 1 else 's'}"
    return ""
