"""`comfyume watch`: follow jobs that were submitted before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.cli.connection import Connection, connect
from services.cli.jobs import JobView, find_id
from services.cli.options import AsJson, AsName, Jobs, OutputDir
from services.cli.output_files import Fetched, fetch_outputs
from services.cli.render import note, print_json, say, size_text
from services.cli.watch import JobWatch, describe, node_classes_of, raise_unless_succeeded
from services.domain.job import JobState
from services.domain.names import Role

INTERRUPTED = 130
"""What shells expect of a program that was left with Ctrl-C."""


def watch(jobs: Jobs, output_dir: OutputDir = None, as_name: AsName = "", as_json: AsJson = False) -> None:
    """Follow jobs until they end. Ctrl-C leaves them alone."""
    connection = connect(Role.PARTICIPANT, as_name)
    ids = [find_id(connection.api, job) for job in jobs]
    classes = {job_id: node_classes_of(connection.api, job_id) for job_id in ids}
    finish(connection, classes, output_dir, as_json=as_json)


def finish(
    connection: Connection, classes: Mapping[str, Mapping[str, str]], output_dir: Path | None, *, as_json: bool
) -> None:
    """Follow the jobs, fetch their files if asked to, report. Raises WorkshopError unless all succeeded."""
    try:
        jobs = JobWatch(connection.api, classes).run()
    except KeyboardInterrupt:
        note("Left. The jobs go on without you; come back with: comfyume watch " + " ".join(i[:8] for i in classes))
        raise SystemExit(INTERRUPTED) from None
    fetched: dict[str, list[Fetched]] = {}
    if output_dir is not None:
        done = [job for job in jobs if job.state is JobState.SUCCEEDED]
        fetched = {job.id: fetch_outputs(connection.api, job, output_dir) for job in done}
    if as_json:
        print_json([_as_json(job, fetched.get(job.id)) for job in jobs])
    else:
        _report(jobs, fetched)
    raise_unless_succeeded(jobs)


def _as_json(job: JobView, files: list[Fetched] | None) -> dict[str, Any]:
    data = job.model_dump(mode="json")
    return data if files is None else {**data, "files": [file.model_dump(mode="json") for file in files]}


def _report(jobs: list[JobView], fetched: Mapping[str, list[Fetched]]) -> None:
    for job in jobs:
        say(f"job {job.number}: {describe(job)}")
        for file in fetched.get(job.id, []):
            say(f"  {file.path}  {size_text(file.size)}")
