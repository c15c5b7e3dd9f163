"""The entry of `python -m infra.operate`: the verbs together, and errors as one sentence with an exit code."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from infra.operate import changes, looks
from infra.operate.desk import notes
from infra.operate.options import Verb
from infra.repository import REPOSITORY
from services.domain.errors import WorkshopError

HELP = """Operate a deployed stack. `make up STACK=prod` and the like call this.

Where the state lives comes from PULUMI_BACKEND_URL, what opens its secrets from PULUMI_CONFIG_PASSPHRASE.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 not now (a session, or nobody agreed), 4 not found,
5 away or locked: try again later, 7 a look found something (drift, orphans). 130 left with Ctrl-C.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for verbs in (changes.app, looks.app):
    app.registered_commands += verbs.registered_commands


@app.callback()
def options(
    context: typer.Context,
    stack: Annotated[str, typer.Option(help="The stack, for example staging.")] = "",
    folder: Annotated[Path, typer.Option(help="Where Pulumi.yaml and the stack files are.")] = REPOSITORY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Update although a session is going on.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to everything that is asked, but for `down`.")] = False,
    confirm: Annotated[str, typer.Option(help="For `down` where nobody can be asked: the stack's name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
) -> None:
    context.obj = Verb(stack, folder, dry_run, force, yes, as_json, confirm)


options.__doc__ = HELP


def main() -> NoReturn:
    """Run one verb and leave with the exit code that belongs to the outcome."""
    try:
        app(prog_name="python -m infra.operate")
    except WorkshopError as error:
        if "--json" in sys.argv:
            notes.file.write(json.dumps({"error": error.code, "detail": error.message}) + "\n")
        else:
            notes.print(error.message, markup=False)
        sys.exit(error.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
