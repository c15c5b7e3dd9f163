"""The entry of `comfyume`: puts the verbs together and turns errors into one sentence and an exit code."""

import json
import sys
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from services.cli.commands import participants, queue, workflows
from services.cli.commands.change import cancel, requeue
from services.cli.commands.outputs import outputs
from services.cli.commands.status import status
from services.cli.commands.submit import submit
from services.cli.commands.watch import watch
from services.cli.commands.workers import workers
from services.cli.render import note, notes
from services.domain.errors import InvalidInput, WorkshopError

HELP = """Submit workflows to the workshop, follow them, fetch their pictures.

Who you are comes from COMFYUME_TOKEN and COMFYUME_URL; without them from the local workshop's credentials, of which
--as NAME picks somebody else's.

Exit codes: 0 done, 1 failed or refused, 2 wrong usage or input, 3 not signed in or not allowed, 4 not found,
5 full or away: try again later. 130 left with Ctrl-C.
"""

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
for verb in (submit, watch, status, cancel, requeue, outputs, workers):
    app.command()(verb)
app.add_typer(queue.app, name="queue")
app.add_typer(participants.app, name="participants")
app.add_typer(workflows.app, name="workflows")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error came from.")] = False,
) -> None:
    # Read by main() itself, because errors pass it when this is over; declared here for --help.
    del debug


options.__doc__ = HELP


def _sentence_of(error: ValidationError) -> str:
    """Name the setting that pydantic refused, and why."""
    first = error.errors()[0]
    name = "_".join(str(part) for part in first["loc"]).upper()
    return f"COMFYUME_{name}: {first['msg']}."


def _report(error: WorkshopError, *, as_json: bool) -> None:
    if as_json:
        answer: dict[str, Any] = {"error": error.code, "detail": error.message}
        if error.node_errors:
            answer["node_errors"] = error.node_errors
        notes.file.write(json.dumps(answer) + "\n")
        return
    note(error.message)
    for node_id, found in error.node_errors.items():
        for problem in found.get("errors", []):
            details = f": {problem['details']}" if problem.get("details") else ""
            note(f"  node {node_id} {found.get('class_type', '')}: {problem.get('message', '')}{details}")


def main() -> NoReturn:
    """Run the command line and leave with the exit code that belongs to the outcome."""
    try:
        app(prog_name="comfyume")
    except (WorkshopError, ValidationError) as error:
        if "--debug" in sys.argv:
            raise
        known = error if isinstance(error, WorkshopError) else InvalidInput(_sentence_of(error))
        _report(known, as_json="--json" in sys.argv)
        sys.exit(known.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
