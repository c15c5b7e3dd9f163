"""`comfyume cancel` and `comfyume requeue`: a job that shall not run, or shall run again."""

from typing import Annotated, Any

import typer

from services.cli.connection import connect
from services.cli.jobs import JobView, find_id
from services.cli.options import AsJson, AsName
from services.cli.render import print_json, say
from services.cli.watch import describe
from services.domain.errors import InvalidInput
from services.domain.job import JobState
from services.domain.names import Role


def cancel(
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB]...", help="Number of a job, or the beginning of its id.")
    ] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="All your jobs that still wait.")] = False,
    as_name: AsName = "",
    as_json: AsJson = False,
) -> None:
    """Cancel jobs: a waiting one never starts, a running one is stopped."""
    if bool(jobs) == waiting:
        raise InvalidInput("Name the jobs to cancel, or give --waiting for all that wait.")
    api = connect(Role.PARTICIPANT, as_name).api
    if waiting:
        answer = api.send("POST", "/api/jobs/cancel", json={"states": [JobState.QUEUED]}, repeatable=True)
        if as_json:
            print_json(answer)
        else:
            say("None of your jobs waits any more.")
        return
    ids = [find_id(api, job) for job in jobs or []]
    _report([api.send("POST", f"/api/jobs/{job_id}/cancel", repeatable=True) for job_id in ids], as_json=as_json)


def requeue(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Number of a job, or the beginning of its id.")],
    as_name: AsName = "",
    as_json: AsJson = False,
) -> None:
    """Let jobs that failed, died or were cancelled wait for another run."""
    api = connect(Role.PARTICIPANT, as_name).api
    ids = [find_id(api, job) for job in jobs]
    _report([api.send("POST", f"/api/jobs/{job_id}/requeue") for job_id in ids], as_json=as_json)


def _report(answers: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        job = JobView.model_validate(answer)
        asked = ", is being stopped" if job.state is JobState.RUNNING else ""
        say(f"job {job.number}: {describe(job)}{asked}")
