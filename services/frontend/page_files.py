"""Lays the stock page's files out for nginx, those that shrink already compressed.

`python -m services.frontend.page_files FOLDER` fills the folder once for each version of the page: `FOLDER/assets` and
so on, as in the package. A file that shrinks is there as `name.gz` only: nginx unpacks it for a client that wants it
plain. Source maps, and files that the web UI answers itself (`index.html`, extensions), stay out.
"""

import gzip
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

PACKAGE = "comfyui_frontend_package"
PLACES = ("assets", "fonts", "scripts", "materialdesignicons.min.css")
"""What nginx sends itself; the template of its configuration names the same ones."""

SHRINKING = frozenset({".css", ".eot", ".js", ".json", ".svg", ".ttf", ".txt", ".wasm"})
LEVEL = 6
"""A second for the whole page; level 9 takes half as long again and saves 0.3 %."""


def ensure_page_files(folder: Path) -> None:
    """Afterwards the folder holds the installed version's files; whole or not at all."""
    stamp = f"{PACKAGE} {version(PACKAGE)} level {LEVEL}\n"
    marker = folder / "made-from"
    if marker.exists() and marker.read_text() == stamp:
        return
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    page = Path(str(files(PACKAGE))) / "static"
    wanted = [path for name in PLACES for path in _files(page / name) if path.suffix != ".map"]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda path: _put(path, fresh / path.relative_to(page)), wanted))
    (fresh / marker.name).write_text(stamp)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _files(place: Path) -> Iterator[Path]:
    return (path for path in [place, *place.rglob("*")] if path.is_file())


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix in SHRINKING:
        target.with_name(target.name + ".gz").write_bytes(gzip.compress(source.read_bytes(), LEVEL, mtime=0))
    else:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    ensure_page_files(Path(sys.argv[1]))
