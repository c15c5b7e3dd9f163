"""`comfyume status`: my jobs, or one of them in full."""

from typing import Annotated

import typer

from services.cli.connection import connect
from services.cli.jobs import JobView, detail_text, find_id, read_job
from services.cli.options import AsJson, AsName
from services.cli.render import clock_text, duration_text, print_json, print_table, say, state_text
from services.cli.watch import describe
from services.domain.job import JobState
from services.domain.names import Role


def status(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="Number of a job, or the beginning of its id.")] = "",
    state: Annotated[
        list[JobState] | None, typer.Option("--state", help="Only jobs in this state; may be given several times.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many jobs, newest first.")] = 20,
    as_name: AsName = "",
    as_json: AsJson = False,
) -> None:
    """Show your jobs, newest first; or everything about one job."""
    api = connect(Role.PARTICIPANT, as_name).api
    if job:
        job_id = find_id(api, job)
        if as_json:
            print_json(api.get(f"/api/jobs/{job_id}"))
        else:
            _show(read_job(api, job_id))
        return
    answer = api.get("/api/jobs", state=",".join(state) if state else None, limit=limit)
    if as_json:
        print_json(answer["jobs"])
        return
    views = [JobView.model_validate(item) for item in answer["jobs"]]
    rows = [
        (
            str(view.number),
            view.id[:8],
            state_text(view.state),
            clock_text(view.created_at),
            view.label,
            detail_text(view),
        )
        for view in views
    ]
    print_table(("job", "id", "state", "submitted", "label", "remarks"), rows, empty="No jobs.")


def _show(job: JobView) -> None:
    say(f"job {job.number}: {describe(job)}")
    say(f"  id         {job.id}")
    if job.label:
        say(f"  label      {job.label}")
    say(f"  submitted  {clock_text(job.created_at)} by {job.participant}")
    if job.started_at is not None:
        say(f"  started    {clock_text(job.started_at)} on {job.worker}, attempt {job.attempt}")
    if job.started_at is not None and job.ended_at is not None:
        took = duration_text((job.ended_at - job.started_at) / 1000)
        say(f"  ended      {clock_text(job.ended_at)}, after {took}")
    if job.outputs:
        say(f"  files      {len(job.outputs)}; fetch them with: comfyume outputs {job.number} --output-dir out")
