"""What runs: the record in `running.json`, the lock of the one who runs it, and parts that outlived him."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
from pydantic import BaseModel, ValidationError

from services.domain.errors import Conflict
from services.kit.private_file import write_private
from services.local.folder import WorkshopFolder

LEFTOVER_SECONDS = 15.0
"""Between SIGTERM and SIGKILL for a part that outlived its workshop: nobody waits for its job any more."""


class RunningProcess(BaseModel):
    """A process id with the time of its start (unix seconds), because ids are used again."""

    name: str
    pid: int
    started: float

    @classmethod
    def of(cls, name: str, pid: int) -> "RunningProcess | None":
        """Look at a process that runs now; None if it is gone already."""
        try:
            return cls(name=name, pid=pid, started=psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs and is the same one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1 and is_alive(process)
        except psutil.Error:
            return None
        return process if same else None


class Running(BaseModel):
    """The content of `running.json`; `parts` stand in the order in which they started."""

    url: str
    runner: RunningProcess | None = None
    parts: list[RunningProcess] = []


def read_running(folder: WorkshopFolder) -> Running | None:
    """Return what was written last, None if there is nothing readable."""
    try:
        return Running.model_validate_json(folder.running.read_bytes())
    except (OSError, ValidationError):
        return None


def write_running(folder: WorkshopFolder, running: Running) -> None:
    """Record what runs now."""
    write_private(folder.running, json.dumps(running.model_dump(), indent=2) + "\n")


@contextlib.contextmanager
def held_lock(folder: WorkshopFolder) -> Iterator[None]:
    """Hold the workshop's lock; raises Conflict when somebody else does. The kernel frees it even after SIGKILL."""
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        running = read_running(folder)
        where = f" at {running.url}" if running else ""
        raise Conflict(f"This workshop runs already{where}. `make status` shows it, `make down` stops it.") from None
    try:
        yield
    finally:
        os.close(descriptor)


def runner_of(folder: WorkshopFolder) -> psutil.Process | None:
    """Return the program that runs this workshop, None when it does not run."""
    running = read_running(folder)
    return running.runner.process() if running is not None and running.runner is not None else None


def end_leftovers(folder: WorkshopFolder, say: Callable[[str], Any]) -> None:
    """End the parts of a workshop whose runner was killed, the last one started first; needs the lock."""
    running = read_running(folder)
    if running is None:
        return
    for part in reversed(running.parts):
        process = part.process()
        if process is not None:
            say(f"{part.name} (process {part.pid}) is left over from a workshop that was killed; ending it.")
            _end(process)
    write_running(folder, Running(url=running.url))


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        if not _gone_within(process, LEFTOVER_SECONDS):
            process.kill()
            _gone_within(process, LEFTOVER_SECONDS)


def _gone_within(process: psutil.Process, seconds: float) -> bool:
    """Wait for the end. A zombie counts as gone: where nobody reaps orphans (containers), it stays one for ever."""
    end = time.monotonic() + seconds
    while is_alive(process):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def is_alive(process: psutil.Process) -> bool:
    """Say whether the process still runs, and is no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
