"""The linter of the workflows, built once from its released Go module and kept in the user's cache."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

from infra.rehearsal.caches import cache_folder

PINS = Path(__file__).with_name("actionlint")
_PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
_BUILD_SECONDS = 900


class LinterMissing(Exception):
    """There is no actionlint, and none can be built here; one sentence, good as the reason of a skip."""


def ensure() -> Path:
    """The `actionlint` executable of the pinned version.

    Raises:
        LinterMissing: there is no Go, or it cannot build the module here.
    """
    version = re.search(r"rhysd/actionlint v(\S+)", (PINS / "go.mod").read_text(encoding="utf-8"))
    assert version is not None
    kept = cache_folder(f"actionlint-{version[1]}") / "actionlint"
    if kept.exists():
        return kept
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        raise LinterMissing("the workflows are not linted: there is no Go to build actionlint with")
    with kept.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _build(go, kept)
    return kept


def _build(go: str, kept: Path) -> None:
    new = kept.with_name(f"actionlint.{os.getpid()}.new")
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}
    try:
        built = subprocess.run(
            [go, "build", "-trimpath", "-o", str(new), _PACKAGE],
            cwd=PINS, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LinterMissing(f"the workflows are not linted: Go took more than {_BUILD_SECONDS} s for it") from None
    if built.returncode != 0:
        last = (built.stderr.strip().splitlines() or ["no output"])[-1]
        raise LinterMissing(f"the workflows are not linted: Go could not build actionlint here: {last}")
    new.rename(kept)
