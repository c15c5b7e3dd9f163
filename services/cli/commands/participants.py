"""`comfyume participants`: who may take part, as the operator decides."""

from typing import Annotated

import typer

from services.cli.connection import Connection, connect
from services.cli.options import AsJson, AsName, DryRun, Yes
from services.cli.render import clock_text, print_json, print_table, say
from services.domain.errors import InvalidInput, NotFound
from services.domain.names import Role, is_name
from services.kit.api_client import path_of

app = typer.Typer(help="Who may take part (operator).", no_args_is_help=True)

ParticipantName = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens.")]


@app.command("list")
def list_all(as_name: AsName = "", as_json: AsJson = False) -> None:
    """List everybody who has a credential."""
    known = connect(Role.OPERATOR, as_name).api.get("/api/credentials")
    if as_json:
        print_json(known)
        return
    rows = [(one["name"], one["role"], clock_text(one["created_at"])) for one in known]
    print_table(("name", "role", "since"), rows, empty="Nobody has a credential.")


@app.command()
def add(name: ParticipantName, as_name: AsName = "", as_json: AsJson = False) -> None:
    """Add a participant and print the new credential."""
    connection = connect(Role.OPERATOR, as_name)
    if name in _participants(connection):
        raise InvalidInput(f"{name} takes part already. For a new credential: comfyume participants rotate {name}")
    _issue(connection, name, as_json=as_json)


@app.command()
def rotate(name: ParticipantName, as_name: AsName = "", as_json: AsJson = False) -> None:
    """Give a participant a new credential; the old one is refused from now on."""
    connection = connect(Role.OPERATOR, as_name)
    if name not in _participants(connection):
        raise NotFound(f"There is no participant {name}. Add one with: comfyume participants add {name}")
    _issue(connection, name, as_json=as_json)


@app.command()
def remove(name: ParticipantName, yes: Yes = False, dry_run: DryRun = False, as_name: AsName = "") -> None:
    """Remove a participant; jobs that wait or run are cancelled."""
    connection = connect(Role.OPERATOR, as_name)
    if name not in _participants(connection):
        raise NotFound(f"There is no participant {name}. `comfyume participants list` shows all.")
    room = connection.api.get("/api/queue")
    counts = next((who for who in room.get("participants", []) if who["name"] == name), {"waiting": 0, "running": 0})
    plan = f"{name}: credential withdrawn, {counts['waiting']} waiting and {counts['running']} running jobs cancelled"
    if dry_run:
        say(f"Would be done: {plan}.")
        return
    if not yes:
        typer.confirm(f"{plan}. Go on?", abort=True)
    connection.api.send("DELETE", path_of("api", "credentials", Role.PARTICIPANT, name))
    if connection.workshop is not None:
        connection.workshop.keep(Role.PARTICIPANT, name, None)
    say(f"Done: {plan}.")


def _participants(connection: Connection) -> set[str]:
    return {one["name"] for one in connection.api.get("/api/credentials") if one["role"] == Role.PARTICIPANT}


def _issue(connection: Connection, name: str, *, as_json: bool) -> None:
    if not is_name(name):
        raise InvalidInput(f"NAME {name!r} may have lower-case letters, digits and hyphens, 32 at most.")
    issued = connection.api.send("PUT", path_of("api", "credentials", Role.PARTICIPANT, name))
    if connection.workshop is not None:
        connection.workshop.keep(Role.PARTICIPANT, name, issued["token"])
    if as_json:
        print_json(issued)
        return
    say(f"{name} signs in with {issued['token']}")
    say("It is shown this once" + (" and kept in the workshop's credentials." if connection.workshop else "."))
