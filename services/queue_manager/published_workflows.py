"""Workflows that the instructor published to all: one file each, written whole, listed by name."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.domain.errors import InvalidInput, LimitReached, NotFound
from services.kit.strict_json import decode_json
from services.queue_manager.files.disk import write_file

MAX_WORKFLOW_BYTES = 8 << 20
MAX_WORKFLOWS = 200
NAME_PATTERN = r"^[A-Za-z0-9(\[][A-Za-z0-9 _.,()\[\]+=&'-]{0,79}$"
"""Starts with a letter or digit, so that no name is hidden, climbs, or is a temporary one."""

_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True)
class PublishedFile:
    """A published workflow as it lies on the disk; `published_at` in unix ms."""

    name: str
    size: int
    published_at: int


class PublishedWorkflows:
    """A folder `<name>.json`; what somebody else puts there by hand is served as well. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self) -> list[PublishedFile]:
        """All of them by name."""
        if not self._folder.is_dir():
            return []
        found = []
        for path in self._folder.glob("*.json"):
            if _NAME.fullmatch(path.stem) and path.is_file() and not path.is_symlink():
                stat = path.stat()
                found.append(PublishedFile(path.stem, stat.st_size, stat.st_mtime_ns // 10**6))
        return sorted(found, key=lambda file: file.name)

    def read(self, name: str) -> tuple[bytes, str]:
        """Return a workflow's bytes and their SHA-256; raises NotFound."""
        path = self._existing(name)
        content = path.read_bytes()
        return content, sha256(content).hexdigest()

    def write(self, name: str, content: bytes) -> bool:
        """Publish a workflow, in place of an earlier one of that name; answers whether it is a new one.

        Raises InvalidInput for what the page could not open, LimitReached, StorageFull.
        """
        _check_canvas(decode_json(content))
        path = self._path(name)
        is_new = not path.is_file()
        if is_new and len(self.list()) >= MAX_WORKFLOWS:
            raise LimitReached(f"There are {MAX_WORKFLOWS} published workflows already; unpublish one first.")
        write_file(path, content)
        return is_new

    def remove(self, name: str) -> None:
        """Take a workflow back; copies that participants saved stay theirs. Raises NotFound."""
        self._existing(name).unlink(missing_ok=True)

    def _existing(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or not (path := self._path(name)).is_file() or path.is_symlink():
            raise NotFound("There is no published workflow of that name; GET /api/workflows lists them.")
        return path

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _check_canvas(workflow: Any) -> None:
    """Refuse what the page cannot open from its template list: only a saved canvas can be."""
    if isinstance(workflow, dict) and isinstance(workflow.get("nodes"), list):
        return
    if (
        isinstance(workflow, dict)
        and workflow
        and all(isinstance(n, dict) and "class_type" in n for n in workflow.values())
    ):
        raise InvalidInput("The workflow is in API format, which has no canvas; export it with File > Export instead.")
    raise InvalidInput("The body is no saved workflow; send the file that File > Export of the page gives.")
