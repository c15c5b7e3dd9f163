"""What exists at the rehearsed Verda: a section of the cloud's own file, so that it outlives the stand-in's process."""

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.rehearsal.providers.cloud import Cloud

Thing = dict[str, Any]
Shelf = dict[str, Thing]

SECTION = "verda"
SHELVES = ("instances", "volumes", "ssh_keys", "scripts", "deployments", "secrets")


class Store:
    """The shelves of one rehearsed cloud; `change` writes, `look` only reads."""

    def __init__(self, cloud: Path) -> None:
        self.cloud = Cloud(cloud)

    @contextmanager
    def change(self) -> Iterator[dict[str, Shelf]]:
        """All shelves, under the cloud's lock; what is changed in them is kept."""
        with self.cloud.data() as data:
            section = data.setdefault(SECTION, {})
            for shelf in SHELVES:
                section.setdefault(shelf, {})
            yield section

    def look(self, shelf: str) -> list[Thing]:
        with self.change() as shelves:
            return list(shelves[shelf].values())

    def get(self, shelf: str, id_: str) -> Thing | None:
        with self.change() as shelves:
            return shelves[shelf].get(id_)

    def set(self, shelf: str, id_: str, **fields: Any) -> None:
        """Change some fields of a thing, if it still exists."""
        with self.change() as shelves:
            if id_ in shelves[shelf]:
                shelves[shelf][id_].update(fields)


def new_id() -> str:
    return str(uuid.uuid4())


def short_id() -> str:
    return secrets.token_hex(4)


def now() -> str:
    """This moment as Verda writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
