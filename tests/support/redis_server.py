"""A real redis-server of one's own: free port, append-only file, a folder that goes away with it."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import redis

from tests.support.ports import free_port
from tests.support.wait import wait_for


class RedisServer:
    """One redis-server process; a context manager. `kill()` and `start()` keep the data, as a crash would."""

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        """`options` are further redis-server arguments, for example "--maxmemory", "40mb"."""
        self.folder = folder
        self.port = free_port()
        self.password = password
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address in the form that every setting of the project takes."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def client(self) -> Any:
        """A plain blocking redis-py client that answers str, for looking at what the code under test left behind."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        """Start the server (again) and return when it answers; raises when it ends instead."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--loglevel", "warning"]
        command += ["--requirepass", self.password] if self.password else []
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([*command, *self._options], stdout=log, stderr=log)
        wait_for(self._answers, "redis-server to answer")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"redis-server ended: {(self.folder / 'redis.log').read_text(errors='replace')[-2000:]}")
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.kill(process.pid, how)
            process.wait(60)

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
