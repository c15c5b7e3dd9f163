"""A ComfyUI (or rehearsal engine) process that belongs to the worker: started, watched, stopped.

Leaves to `backend.py` when to start it again and to the probe whether it is ready.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.kit.logs import get_logger

_log = get_logger(__name__)
_STOP_SECONDS = 10.0
"""Time between SIGTERM and SIGKILL."""


class EngineProcess:
    """One run of the program; its own process group, so that helpers it started end with it."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process = process
        self._output = output
        self.exited = asyncio.create_task(process.wait())
        """Done when the process is gone; its result is the exit status, negative for a signal."""

    @classmethod
    async def start(
        cls, command: Sequence[str], *, output: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> "EngineProcess":
        """Start `command`; what it prints goes to the file `output`, which keeps the previous run as `.1`."""
        _make_room_for(output)
        wrapper = [sys.executable, str(Path(__file__).with_name("child.py")), str(os.getpid())]
        with output.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *wrapper,
                *command,
                cwd=cwd,
                env={**_environment_without_secrets(), **(env or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _log.info("engine started", pid=process.pid, log=str(output))
        return cls(process, output)

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return not self.exited.done()

    @property
    def last_words(self) -> str:
        """The last line it printed, for the worker's log."""
        with contextlib.suppress(OSError):
            lines = self._output.read_bytes()[-4096:].decode("utf-8", "replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    async def stop(self, *, gently: bool = True) -> None:
        """End the process and its helpers: SIGTERM first if `gently`, SIGKILL for what is left."""
        if gently and self.running:
            self._signal(signal.SIGTERM)
            await asyncio.wait([self.exited], timeout=_STOP_SECONDS)
        self._signal(signal.SIGKILL)
        await self.exited

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _make_room_for(output: Path) -> None:
    """Keep what the previous run printed under another name."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        output.replace(output.with_suffix(output.suffix + ".1"))


def _environment_without_secrets() -> dict[str, str]:
    """The worker's environment without its own settings: custom nodes run in that process and must not read its
    token.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("WORKER_")}


def free_port() -> int:
    """A port on the loopback address that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
