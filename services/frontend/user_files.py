"""The participant's own files: saved workflows, settings and whatever else the page keeps on its server.

One folder, written atomically, with a quota. Every name is checked to stay inside; links are never followed.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from services.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, StorageFull

WARN_AT = 0.9
"""Share of the quota from which on saving warns: before the refusal, not with it."""

MAX_NAME_BYTES = 255
MAX_DEPTH = 16
MAX_PATH_BYTES = 1024
BLOCK_BYTES = 4096
"""What a file takes at least: without it a million empty files would cost nothing."""


@dataclass(frozen=True)
class UserFile:
    """One file as the page lists it; times are unix milliseconds, the path is relative to what was listed."""

    path: str
    size: int
    modified: int
    created: int


class UserFiles:
    """A folder and what may be done inside it."""

    def __init__(self, root: Path, quota_bytes: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._quota = quota_bytes

    def path_of(self, name: str) -> Path:
        """Where a file of that name lies.

        Raises:
            InvalidInput: the name cannot be a file's.
            Forbidden: the name leads out of the participant's folder.
        """
        name = unquote(name) if "%" in name else name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        too_long = (
            len(parts) > MAX_DEPTH
            or len(name.encode(errors="replace")) > MAX_PATH_BYTES
            or any(len(part.encode(errors="replace")) > MAX_NAME_BYTES for part in parts)
        )
        if not name or "\0" in name or too_long:
            raise InvalidInput("file: this name cannot be used; choose a shorter one without special characters.")
        if name.startswith("/") or "\\" in name or ".." in parts:
            raise Forbidden("file: the name leads out of your own folder; use a name without '..'.")
        path = self._root.joinpath(*parts)
        if path.is_symlink() or not path.resolve().is_relative_to(self._root):
            raise Forbidden("file: the name leads out of your own folder; use a name inside it.")
        return path

    def existing(self, name: str) -> Path:
        """The same, for a file that must be there; raises NotFound otherwise."""
        path = self.path_of(name)
        if not path.is_file():
            raise NotFound("file: there is none of that name; look at the list again.")
        return path

    def list(self, folder: str, *, recurse: bool) -> list[UserFile]:
        """The files of a folder, sorted by path.

        Raises:
            NotFound: there is no such folder (yet).
        """
        root = self.path_of(folder)
        if not root.is_dir():
            raise NotFound("dir: there is no such folder (yet); it appears with the first file saved in it.")
        found = root.rglob("*") if recurse else root.glob("*")
        return sorted(
            (self.describe(path, root) for path in found if path.is_file() and not path.is_symlink()),
            key=lambda file: file.path,
        )

    def describe(self, path: Path, root: Path | None = None) -> UserFile:
        """One file's facts, its path relative to `root` or to the participant's folder."""
        status = path.stat()
        relative = path.relative_to(root or self._root).as_posix()
        return UserFile(relative, status.st_size, int(status.st_mtime * 1000), int(status.st_ctime * 1000))

    def write(self, name: str, content: bytes, *, overwrite: bool = True) -> Path:
        """Save a file whole, or not at all.

        Raises:
            Conflict: it is there already and must not be overwritten.
            StorageFull: the quota would be passed; what was there stays.
        """
        path = self.path_of(name)
        if path.exists() and not overwrite:
            raise Conflict("file: one of that name is there already; save under another name or overwrite it.")
        if path.is_dir():
            raise Conflict("file: a folder has that name; choose another one.")
        before = _room_of(path.stat().st_size) if path.is_file() else 0
        if self.used_bytes() - before + _room_of(len(content)) > self._quota:
            raise StorageFull(
                f"Your folder is full ({self._quota // 2**20} MB): delete some saved workflows, then save again."
            )
        self._make_folder(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".saving-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path

    def delete(self, name: str) -> None:
        """Remove a file; raises NotFound where there is none."""
        self.existing(name).unlink()

    def move(self, name: str, destination: str, *, overwrite: bool = False) -> Path:
        """Rename a file, also into another folder.

        Raises:
            NotFound: there is no such file.
            Conflict: the destination is taken and must not be overwritten.
        """
        source, target = self.existing(name), self.path_of(destination)
        if target.is_dir() or (target.exists() and not overwrite):
            raise Conflict("dest: one of that name is there already; choose another name or overwrite it.")
        self._make_folder(target)
        return source.replace(target)

    def _make_folder(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise Conflict("file: one of its folders is a file already; choose another folder.") from error

    def used_bytes(self) -> int:
        """How much of the quota is used."""
        files = (path for path in self._root.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(_room_of(path.stat().st_size) for path in files)

    def warning(self) -> str | None:
        """A sentence when the quota is nearly used up."""
        used = self.used_bytes()
        if used < WARN_AT * self._quota:
            return None
        return f"{used / 2**20:.0f} of {self._quota // 2**20} MB for saved workflows are used: delete some soon."


def _room_of(size: int) -> int:
    return max(size, BLOCK_BYTES)
