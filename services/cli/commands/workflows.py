"""`comfyume workflows`: what everybody finds in the template list of the page, as the instructor decides."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.connection import connect
from services.cli.options import AsJson, AsName
from services.cli.render import clock_text, print_json, print_table, say, size_text
from services.domain.errors import InvalidInput, NotFound
from services.domain.names import Role
from services.kit.api_client import path_of

app = typer.Typer(help="Workflows for everybody (instructor, operator).", no_args_is_help=True)


@app.command("list")
def list_all(as_name: AsName = "", as_json: AsJson = False) -> None:
    """List the published workflows."""
    published = connect(Role.INSTRUCTOR, as_name).api.get("/api/workflows")["workflows"]
    if as_json:
        print_json(published)
        return
    rows = [(one["name"], clock_text(one["published_at"]), size_text(one["size"])) for one in published]
    print_table(("name", "published", "size"), rows, empty="No workflow is published.")


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A workflow saved with File > Export of the page.")],
    name: Annotated[str, typer.Option(help="Name in the template list; without it the file's.")] = "",
    as_name: AsName = "",
) -> None:
    """Put a workflow into everybody's template list, in place of an earlier one of that name."""
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"{file}: there is no such file.") from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    title = name or file.stem
    connect(Role.INSTRUCTOR, as_name).api.send("PUT", _address(title), content=content)
    say(f"{title} is in everybody's template list, under Extensions > workshop.")


@app.command()
def unpublish(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name in the template list.")], as_name: AsName = ""
) -> None:
    """Take a workflow back; copies that participants saved stay theirs."""
    connect(Role.INSTRUCTOR, as_name).api.send("DELETE", _address(name))
    say(f"{name} is no longer in the template list.")


def _address(name: str) -> str:
    if "/" in name:
        raise InvalidInput("The name may have no slash; give another one with --name.")
    return path_of("api", "workflows", name)
