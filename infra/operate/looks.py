"""The verbs that only look: preview, outputs, passwords, drift, history, orphans, settings."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from infra.operate.deployment import Deployment, deployment
from infra.operate.desk import answers
from infra.operate.options import desk_of
from infra.operate.passwords import app_host, read_passwords
from infra.operate.refusals import StackFailed
from infra.operate.rollback import numbered
from infra.operate.settings_table import settings_table
from infra.operate.summary import markdown, summary_of
from infra.outputs import EXPORT
from infra.verda.api import VerdaApi
from infra.verda.orphans import all_billed, find_orphans, ids_in_state
from services.domain.errors import NotFound
from services.domain.stack_outputs import StackOutputs

app = typer.Typer()

FOUND = 7
"""Exit code of a look that found something: drift, or orphans; the engine's own for unexpected changes."""


@app.command()
def preview(
    context: typer.Context,
    report: Annotated[Path | None, typer.Option(help="Write the difference as Markdown into this file.")] = None,
) -> None:
    """Show what an update would change."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder, may_create=True) as deployed:
        planned = summary_of(deployed.preview())
    if report:
        report.write_text(markdown(desk.stack, planned), encoding="utf-8")
    if planned.errors:
        raise StackFailed("\n".join([*planned.errors, "Nothing was changed."]))
    desk.show(planned, f"preview: {planned.counts()}.")


@app.command()
def drift(context: typer.Context) -> None:
    """Show what somebody changed at the providers; exit code 7 if there is anything."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder) as deployed:
        found = summary_of(deployed.drift())
    if found.errors:
        raise StackFailed("\n".join(found.errors))
    words = "Everything is as the state says." if not found.changes else "An update brings it back: make up STACK=..."
    desk.show(found, words)
    raise typer.Exit(FOUND if found.changes else 0)


@app.command()
def outputs(context: typer.Context) -> None:
    """Show addresses, hosts, containers, buckets and links of the stack."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder) as deployed:
        document = _document(deployed)
    if desk.as_json:
        answers.file.write(document.model_dump_json(indent=2) + "\n")
        return
    desk.table(("link", "address"), [(link.title, link.url) for link in document.links])
    hosts = [
        (h.name, h.machine_type, h.location, h.address, h.tailnet_address, _price(h.price_per_hour))
        for h in document.hosts
    ]
    desk.table(("host", "type", "where", "address", "in the tailnet", "an hour"), hosts)
    desk.table(("container", "on"), [(container.name, container.host) for container in document.containers])
    desk.table(("bucket", "holds", "locked for"), [(b.name, b.role, f"{b.locked_days} days") for b in document.buckets])


@app.command()
def passwords(context: typer.Context, name: Annotated[str, typer.Option(help="Only this person's.")] = "") -> None:
    """Show the people's passwords, read from the app host over SSH."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder) as deployed:
        host, key = app_host(deployed.resources()), deployed.secret("operator_private_key")
        address = _document(deployed).participant_url
    found = read_passwords(host, key)
    if name and name not in found:
        raise NotFound(f"NAME: {name!r} has no password there; there are {', '.join(found) or 'none'}.")
    shown = {person: password for person, password in found.items() if name in ("", person)}
    if desk.as_json:
        desk.answer("", shown)
    else:
        desk.table(("name", "password", "address"), [(n, p, address.replace("{name}", n)) for n, p in shown.items()])


@app.command()
def history(context: typer.Context) -> None:
    """List the updates with their numbers, newest first; those forced in session hours say so."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder) as deployed:
        found = [(number, update) for number, update in numbered(deployed.history()) if update.kind != "refresh"]
    lines = [
        (str(number), f"{update.start_time:%Y-%m-%d %H:%M} UTC", update.result, update.message,
         str(update.environment.get("git.head", ""))[:12])
        for number, update in found
    ]  # fmt: skip
    if desk.as_json:
        desk.answer(
            "", [dict(zip(("number", "at", "result", "message", "commit"), line, strict=True)) for line in lines]
        )
    else:
        desk.table(("number", "at", "result", "what", "commit"), lines)


@app.command()
def orphans(context: typer.Context) -> None:
    """Name what Verda bills under this stack's names and its state does not know; exit code 7 if there is anything."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder) as deployed:
        known = ids_in_state(deployed.export())
        api = VerdaApi(deployed.secret("verda_client_id"), deployed.secret("verda_client_secret"))
    found = find_orphans(f"comfyume-{desk.stack}-", all_billed(api), known)
    if desk.as_json:
        desk.answer("", [thing.as_dict() for thing in found])
    elif found:
        lines = [(thing.kind, thing.name, thing.id, thing.status, _price(thing.per_hour)) for thing in found]
        desk.table(("kind", "name", "id", "status", "an hour"), lines)
    else:
        desk.note("Nothing is billed at Verda that the state does not know.")
    raise typer.Exit(FOUND if found else 0)


@app.command()
def settings() -> None:
    """Print every setting of a stack file as the table of infra/README.md."""
    answers.file.write(settings_table())


def _document(deployed: Deployment) -> StackOutputs:
    value: Any = deployed.outputs().get(EXPORT)
    try:
        return StackOutputs.model_validate(value)
    except ValidationError:
        raise NotFound(
            f"{deployed.name}: has no outputs yet, or an older program's; `make up STACK={deployed.name}` writes them."
        ) from None


def _price(per_hour: float | None) -> str:
    return "?" if per_hour is None else f"{per_hour:.4f} EUR"
