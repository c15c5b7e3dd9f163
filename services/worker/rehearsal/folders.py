"""The engine's folders: input, output and temp. Resolves names from the network and never leaves these folders."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER_TYPES = ("input", "output", "temp")


class OutsideFolder(ValueError):
    """A name leads out of the folder it belongs to."""


@dataclass(frozen=True)
class SavePlace:
    """Where the next files of one prefix go: `folder / f"{stem}_{counter:05}_.png"`."""

    folder: Path
    stem: str
    counter: int
    subfolder: str


@dataclass(frozen=True)
class Folders:
    """The three folders under one root."""

    root: Path

    def prepare(self) -> None:
        """Make the folders; temp starts empty."""
        shutil.rmtree(self.root / "temp", ignore_errors=True)
        for kind in FOLDER_TYPES:
            (self.root / kind).mkdir(parents=True, exist_ok=True)

    def of_type(self, kind: str) -> Path | None:
        """The folder called "input", "output" or "temp"; None for any other word."""
        return self.root / kind if kind in FOLDER_TYPES else None

    def annotated(self, name: str) -> tuple[str, Path | None]:
        """Split "a.png [output]" into the bare name and its folder; without annotation the folder is None."""
        for kind in FOLDER_TYPES:
            tag = f"[{kind}]"
            if name.endswith(tag):
                return name[: -len(tag) - 1], self.root / kind
        return name, None

    def input_path(self, name: str) -> Path:
        """The file that a loader's input names.

        Raises OutsideFolder when the name leads out of its folder.
        """
        bare, folder = self.annotated(name)
        return inside(folder or self.root / "input", bare)

    def list_input(self, content_types: tuple[str, ...]) -> list[str]:
        """File names directly in input/ whose guessed content type begins with one of the given words."""
        from mimetypes import guess_type

        def fits(name: str) -> bool:
            return (guess_type(name, strict=False)[0] or "").split("/")[0] in content_types

        return sorted(entry.name for entry in os.scandir(self.root / "input") if entry.is_file() and fits(entry.name))

    def save_place(self, kind: str, prefix: str, width: int = 0, height: int = 0) -> SavePlace:
        """Find the next free counter for files of this prefix.

        The prefix may hold subfolders and the words %width%, %height%, %year% and so on. Raises OutsideFolder when it
        leads out of the folder.
        """
        base = self.root / kind
        prefix = os.path.normpath(expand_prefix(prefix, width, height))
        subfolder, stem = os.path.split(prefix)
        folder = inside(base, subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        used = [_counter(entry.name, stem) for entry in folder.iterdir()]
        return SavePlace(folder, stem, max(used, default=0) + 1, subfolder)


def inside(folder: Path, name: str) -> Path:
    """Join and resolve; raise OutsideFolder when the result is not in `folder` (also through links, or with a NUL)."""
    try:
        target = Path(os.path.realpath(folder / name))
    except ValueError as error:
        raise OutsideFolder("The name holds a character that no file name can hold.") from error
    if not target.is_relative_to(os.path.realpath(folder)):
        raise OutsideFolder(f"Invalid file path: {name!r}")
    return target


def expand_prefix(prefix: str, width: int, height: int) -> str:
    """Replace the %words% of a file name prefix."""
    now = time.localtime()
    words = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for word, value in words.items():
        prefix = prefix.replace(f"%{word}%", value)
    return prefix


def _counter(name: str, stem: str) -> int:
    """The number in `<stem>_<number>_.ext`, 0 for a name that is not of this stem."""
    if not name.startswith(f"{stem}_"):
        return 0
    digits = name[len(stem) + 1 :].split(".")[0].split("_")[0]
    return int(digits) if digits.isdecimal() else 0
