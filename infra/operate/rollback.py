"""Back to the settings of an earlier update.

What an update recorded are its settings, so these are what comes back: everything in the stack file but the secrets,
which stay as they are today (a token revoked meanwhile would be of no use). The program is not in the record, only the
commit it came from; where that is another one than today's, the operator is told which to check out first.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi.automation import UpdateSummary

from infra.operate.stack_file import Edit, Settings
from infra.settings_refusals import NAMESPACE
from services.domain.errors import InvalidInput, NotFound

COMMIT = "git.head"


def numbered(history: Sequence[UpdateSummary]) -> list[tuple[int, UpdateSummary]]:
    """The updates of a history that begins with the newest, by number: the first one ever is 1, and stays it."""
    return list(zip(range(len(history), 0, -1), history, strict=True))


def recorded(history: Sequence[UpdateSummary], number: int) -> UpdateSummary:
    """The update of that number.

    Raises:
        NotFound: there is none.
    """
    updates = {place: update for place, update in numbered(history) if update.kind == "update"}
    if number not in updates:
        known = ", ".join(str(place) for place in sorted(updates)) or "none"
        raise NotFound(f"TO: there is no update {number}; there are {known} (`make history`).")
    return updates[number]


def settings_of(update: UpdateSummary) -> dict[str, Any]:
    """What the stack file said then, without secrets."""
    found: dict[str, Any] = {}
    for key, entry in update.config.items():
        if key.startswith(f"{NAMESPACE}:") and not _get(entry, "secret"):
            text, structured = _get(entry, "value"), _get(entry, "objectValue")
            found[key] = structured if structured is not None else _typed(text)
    return found


def restored(wanted: Mapping[str, Any]) -> Edit:
    """The stack file as it was, with its secrets as they are."""
    if not wanted:
        raise InvalidInput("TO: that update recorded no settings; choose another one (`make history`).")

    def edit(settings: Settings) -> None:
        for key in [key for key in settings if key not in wanted and not _is_secret(settings[key])]:
            del settings[key]
        _merge(settings, wanted)

    return edit


def about_the_program(number: int, update: UpdateSummary, folder: Path) -> str | None:
    """A sentence where the update came from another commit than the one that is checked out."""
    then = update.environment.get(COMMIT)
    git = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    found = subprocess.run(git, capture_output=True, text=True, timeout=30, check=False)
    today = found.stdout.strip()
    if not then or not today or then == today:
        return None
    return (
        f"Update {number} came from commit {then[:12]}, this is {today[:12]}: its settings come back, its "
        f"program does not. If the program is what you want back, `git checkout {then[:12]}` first."
    )


def _merge(place: Any, wanted: Mapping[str, Any]) -> None:
    """Change only what differs, so that comments and order stay."""
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(place.get(key), Mapping):
            for gone in [name for name in place[key] if name not in value]:
                del place[key][gone]
            _merge(place[key], value)
        elif key not in place or place[key] != value:
            place[key] = value


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and "secure" in value


def _typed(text: Any) -> Any:
    """Numbers and truth values arrive as text."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return text
    return value if isinstance(value, int | float | bool | list | dict) else text


def _get(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)
