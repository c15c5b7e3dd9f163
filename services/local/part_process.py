"""One part's process under honcho: started, its lines kept in a bounded log, ended."""

import collections
import contextlib
import logging
import logging.handlers
import os
import queue
import shlex
import signal
import threading
import time
from pathlib import Path
from typing import Any

from honcho.printer import Message
from honcho.process import Process

from services.local.parts import REPOSITORY, Part

LOG_BYTES = 5_000_000
LOG_FILES = 2
"""Each part may fill (LOG_FILES + 1) x LOG_BYTES with its log."""

LAST_LINES = 15
"""Lines of a dead part that are shown."""


class PartProcess:
    """Runs a part, several times in turn. honcho's messages about it go to `events`; the owner hands them back."""

    def __init__(self, part: Part, logs: Path, events: "queue.SimpleQueue[Message | None]") -> None:
        self.part = part
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.started_ms = 0
        self.log_file = logs / f"{part.name}.log"
        self._events = events
        self._last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._log = logging.handlers.RotatingFileHandler(
            self.log_file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True
        )

    @property
    def running(self) -> bool:
        """Whether the process was started and its end has not been reported."""
        return self.started_ms > 0 and self.exit_code is None

    @property
    def last_lines(self) -> list[str]:
        """What it printed last."""
        return list(self._last)

    def start(self) -> None:
        """Start the process; a message of type `start` follows."""
        self.pid, self.exit_code, self.started_ms = None, None, int(time.time() * 1000)
        self._last.clear()
        # exec: the shell that honcho uses becomes the part, so that signals reach the part itself.
        command = "exec " + shlex.join(self.part.command)
        process = Process(command, name=self.part.name, env=self.part.full_environment(), cwd=str(REPOSITORY))
        threading.Thread(target=process.run, args=(self._events,), name=self.part.name, daemon=True).start()

    def take(self, message: Message) -> None:
        """Take in one of honcho's messages about this part."""
        if message.type == "start":
            self.pid = message.data["pid"]
        elif message.type == "stop":
            self.exit_code = message.data["returncode"]
        else:
            self._keep_line(message.data)

    def _keep_line(self, data: bytes) -> None:
        line = data.decode("utf-8", "replace").rstrip()
        self._last.append(line)
        record: dict[str, Any] = {"msg": line, "levelno": logging.INFO}
        self._log.emit(logging.makeLogRecord(record))

    def reload(self) -> None:
        """Let the process read its configuration again; open connections stay."""
        self._signal(signal.SIGHUP)

    def terminate(self) -> None:
        """Ask the process to end in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and everything in its session at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None or not self.running:
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
