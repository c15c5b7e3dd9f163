"""`comfyume submit`: workflows out, and with --watch or --output-dir their pictures back."""

import json
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands.watch import finish
from services.cli.connection import Connection, connect
from services.cli.jobs import read_job
from services.cli.options import AsJson, AsName, OutputDir
from services.cli.render import note, print_json, say, size_text
from services.cli.watch import describe
from services.cli.workflow_file import WorkflowFile, named_input, read_workflow
from services.domain.errors import InvalidInput
from services.domain.names import Role
from services.kit.api_client import ApiClient, path_of

MAX_BATCH = 100
"""Workflows in one submit: the queue manager's own limit for a batch."""


def submit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflows in ComfyUI's API format.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the jobs until they end.")] = False,
    output_dir: OutputDir = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="[NAME=]FILE", help="An input file that does not lie beside the workflow."),
    ] = None,
    label: Annotated[str, typer.Option(help="A word of your own for the jobs.")] = "",
    idempotency_key: Annotated[
        str, typer.Option(help="The same key again submits nothing and answers with the first job.")
    ] = "",
    front: Annotated[bool, typer.Option("--front", help="To the front of your own line.")] = False,
    as_name: AsName = "",
    as_json: AsJson = False,
) -> None:
    """Submit workflows; input files that they name and that lie beside them are uploaded first.

    Several files are submitted together: all, or none. --output-dir waits for the jobs and fetches their files.
    """
    _check(files, idempotency_key)
    workflows = [read_workflow(file) for file in files]
    named = dict(named_input(text) for text in inputs or [])
    connection = connect(Role.PARTICIPANT, as_name)
    _upload_inputs(connection.api, workflows, named)
    options = {"label": label, "front": front}
    answers = _submit(connection.api, workflows, options, idempotency_key)
    if watch or output_dir is not None:
        classes = {answer["id"]: file.node_classes for answer, file in zip(answers, workflows, strict=True)}
        finish(connection, classes, output_dir, as_json=as_json)
    elif as_json:
        print_json(answers if len(answers) > 1 else answers[0])
    else:
        _say_queued(connection, answers)


def _check(files: list[Path], idempotency_key: str) -> None:
    if len(files) > MAX_BATCH:
        raise InvalidInput(f"{len(files)} workflows at once are too many; submit at most {MAX_BATCH}.")
    if idempotency_key and len(files) > 1:
        raise InvalidInput("--idempotency-key names one job. Submit the workflows one by one to give each its own.")


def _upload_inputs(api: ApiClient, workflows: list[WorkflowFile], named: dict[str, Path]) -> None:
    wanted = {name: path for workflow in workflows for name, path in workflow.inputs.items()}
    for name, path in {**wanted, **named}.items():
        stored = api.upload(path_of("api", "inputs", name), path)
        note(f"uploaded {name} ({size_text(stored['size'])})")


def _envelope(workflow: WorkflowFile, options: dict[str, Any]) -> bytes:
    """Return the body of a submit. An id of our own makes a repetition after a lost answer harmless."""
    rest = json.dumps({"id": str(uuid.uuid4()), **options})[1:]
    return b'{"workflow":' + workflow.raw + b"," + rest.encode()


def _submit(api: ApiClient, workflows: list[WorkflowFile], options: dict[str, Any], key: str) -> list[dict[str, Any]]:
    bodies = [_envelope(workflow, options) for workflow in workflows]
    if len(bodies) == 1:
        headers = {"Idempotency-Key": key} if key else {}
        return [api.send("POST", "/api/jobs", content=bodies[0], headers=headers, repeatable=True)]
    whole = b'{"jobs":[' + b",".join(bodies) + b"]}"
    answer = api.send("POST", "/api/jobs/batch", content=whole, repeatable=True)
    return list(answer["jobs"])


def _say_queued(connection: Connection, answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        job = read_job(connection.api, answer["id"])
        known = " (submitted before)" if answer.get("duplicate") else ""
        say(f"job {job.number}{known}: {describe(job)}")
    say(f"Follow with: comfyume watch {answers[0]['number']}")
