"""A process that can be killed with everything it started, and started again as it was."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """The processes that `pid` started, and theirs, as far as they are there."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in map(int, (thread / "children").read_text().split()):
                    found += [child, *descendants(child)]
    return found


def kill(pid: int) -> None:
    """SIGKILL, also to one that has just gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Killable:
    """One process of the room, with its log in a file."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log_tail(self) -> str:
        """The last lines it wrote, for the report of a failure."""
        return self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""

    def start(self) -> None:
        """Start it (again)."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL it and all it started."""
        if self._process is None:
            return
        family = descendants(self._process.pid)
        for pid in [self._process.pid, *family]:
            kill(pid)
        self._process.wait(60)
        self._process = None

    def kill_children(self) -> None:
        """SIGKILL what it started, not itself."""
        if self._process is not None:
            for pid in descendants(self._process.pid):
                kill(pid)
