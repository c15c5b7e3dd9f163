"""`python -m infra.verda`: what is billed at Verda that the state does not know, and what machines cost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.verda import orphans as search
from infra.verda.api import VerdaApi
from infra.verda.prices import PRICES
from services.domain.errors import InvalidInput, WorkshopError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Verda, beside the Pulumi program.")

PULUMI_SECONDS = 120
FOUND = 1

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]


@app.command()
def orphans(
    stack: Annotated[str, typer.Option(help="The stack whose names are looked for.")],
    state: Annotated[
        str, typer.Option(help="An exported state ('-': from stdin); by default `pulumi stack export` is asked.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Name what Verda bills under the stack's names and its state does not know; exit code 1 if there is something."""
    known = search.ids_in_state(_exported(stack, state))
    api = VerdaApi(_credential("verda_client_id", stack), _credential("verda_client_secret", stack))
    found = search.find_orphans(f"comfyume-{stack}-", search.all_billed(api), known)
    if as_json:
        print(json.dumps([thing.as_dict() for thing in found], indent=1))
    elif found:
        _show(found)
    else:
        print(f"Nothing is billed at Verda under comfyume-{stack}- that the state does not know.")
    raise typer.Exit(FOUND if found else 0)


@app.command()
def prices(as_json: AsJson = False) -> None:
    """What a machine of each type costs, and where the number comes from."""
    if as_json:
        print(json.dumps([vars(price) for price in PRICES], indent=1))
        return
    table = Table("type", "GPU", "market", "per hour", "basis")
    for price in PRICES:
        market = "spot" if price.is_spot else "on demand"
        table.add_row(price.instance_type, price.gpu, market, f"{price.amount:.4g} {price.currency}", price.basis)
    Console().print(table)


def _show(found: list[search.Billed]) -> None:
    table = Table("kind", "name", "id", "status", "per hour", title="Billed at Verda, unknown to the state")
    for thing in found:
        hourly = "?" if thing.per_hour is None else f"{thing.per_hour:.4f}"
        table.add_row(thing.kind, thing.name, thing.id, thing.status, hourly)
    Console().print(table)
    print("Nothing was changed. Run `pulumi up` to take a machine of a wanted name over, or delete it at Verda.")


def _exported(stack: str, state: str) -> dict[str, Any]:
    if state == "-":
        text = sys.stdin.read()
    elif state:
        try:
            text = Path(state).read_text()
        except OSError as missing:
            raise InvalidInput(f"state: {state} cannot be read ({missing.strerror}); name an exported state") from None
    else:
        text = _pulumi("stack", "export", "--stack", stack)
    try:
        export = json.loads(text)
    except ValueError:
        raise InvalidInput("state: is not JSON; make it with `pulumi stack export`") from None
    if not isinstance(export, dict):
        raise InvalidInput("state: is not an exported state; make it with `pulumi stack export`")
    return export


def _credential(name: str, stack: str) -> str:
    """From the environment (VERDA_CLIENT_ID, VERDA_CLIENT_SECRET), else from the stack's own secret settings."""
    return os.environ.get(name.upper()) or _pulumi("config", "get", f"comfyume:{name}", "--stack", stack).strip()


def _pulumi(*words: str) -> str:
    try:
        done = subprocess.run(
            ["pulumi", *words, "--non-interactive"], capture_output=True, text=True, timeout=PULUMI_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise InvalidInput(
            f"`pulumi {words[0]} {words[1]}` does not run here; give --state and the credentials"
        ) from None
    if done.returncode:
        raise InvalidInput(f"`pulumi {words[0]} {words[1]}` failed; check the stack's name and the passphrase")
    return done.stdout


def main() -> None:
    try:
        app()
    except WorkshopError as refused:
        print(refused.message, file=sys.stderr)
        sys.exit(refused.exit_code)


if __name__ == "__main__":
    main()
