"""`comfyume outputs`: what a job produced, and the files themselves."""

from typing import Annotated

import typer

from services.cli.connection import connect
from services.cli.jobs import find_id, read_job
from services.cli.options import AsJson, AsName, OneJob, OutputDir
from services.cli.output_files import fetch_outputs, list_outputs
from services.cli.render import print_json, print_table, size_text
from services.domain.names import Role


def outputs(
    job: OneJob,
    output_dir: OutputDir = None,
    with_temp: Annotated[bool, typer.Option("--temp", help="Previews, too.")] = False,
    as_name: AsName = "",
    as_json: AsJson = False,
) -> None:
    """List a job's files, or fetch them with --output-dir."""
    api = connect(Role.PARTICIPANT, as_name).api
    view = read_job(api, find_id(api, job))
    if output_dir is not None:
        fetched = fetch_outputs(api, view, output_dir, with_temp=with_temp)
        if as_json:
            print_json([file.model_dump(mode="json") for file in fetched])
        else:
            print_table(
                ("file", "size"), [(str(file.path), size_text(file.size)) for file in fetched], empty="No files."
            )
        return
    stored = [output for output in list_outputs(api, view.id) if output.type == "output" or with_temp]
    if as_json:
        print_json([output.model_dump(mode="json") for output in stored])
        return
    rows = [
        (output.filename, output.subfolder, output.kind, output.node_id, size_text(output.size)) for output in stored
    ]
    print_table(("file", "folder", "kind", "node", "size"), rows, empty="No files.")
