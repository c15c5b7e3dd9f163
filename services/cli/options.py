"""Options that several verbs share, so that they are spelled and explained once."""

from pathlib import Path
from typing import Annotated

import typer

AsName = Annotated[
    str,
    typer.Option("--as", metavar="NAME", help="Whose credential of the local workshop to use (user001, instructor)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON instead of words and tables.")]
OutputDir = Annotated[
    Path | None,
    typer.Option("--output-dir", "-o", metavar="DIR", help="Fetch the files into DIR/job-<number>/.", file_okay=False),
]
Jobs = Annotated[list[str], typer.Argument(metavar="JOB...", help="Number of a job, or the beginning of its id.")]
OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Number of a job, or the beginning of its id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]
