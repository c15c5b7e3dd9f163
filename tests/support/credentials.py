"""The folder of credentials that a queue manager follows, as a deployment writes it."""

import json
from collections.abc import Iterable
from pathlib import Path


def write_credentials(folder: Path, people: Iterable[tuple[str, str, str]]) -> Path:
    """Write (role, name, token) each to a file of its own, whole or not at all; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, name, token in people:
        file = folder / f"{role}-{name}.json"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"role": role, "name": name, "token": token}))
        fresh.replace(file)
    return folder
