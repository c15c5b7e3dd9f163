"""What every verb can be told: the stack, a dry run, insistence, JSON."""

import re
from dataclasses import dataclass
from pathlib import Path

import typer

from infra.operate.desk import Desk
from services.domain.errors import InvalidInput


@dataclass(frozen=True)
class Verb:
    """The options in front of the verb."""

    stack: str
    folder: Path
    dry_run: bool
    force: bool
    yes: bool
    as_json: bool
    confirm: str


def desk_of(context: typer.Context) -> Desk:
    """The desk for a verb.

    Raises:
        InvalidInput: no stack was named, or something that is none.
    """
    verb: Verb = context.obj
    if not verb.stack:
        raise InvalidInput("STACK: is missing; name the stack, for example STACK=staging.")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", verb.stack):
        raise InvalidInput("STACK: is no stack's name; name the stack, for example STACK=staging.")
    return Desk(
        stack=verb.stack, folder=verb.folder, dry_run=verb.dry_run, force=verb.force, yes=verb.yes, as_json=verb.as_json
    )
