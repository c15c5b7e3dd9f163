"""A real worker process, with the rehearsal engine or any other backend."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from tests.support.ports import free_port
from tests.support.queue_process import ROOT, token_of
from tests.support.wait import wait_for

START_SECONDS = 240.0
"""A worker and its engine are up in 4 s; a loaded machine has been seen to take a minute."""


class WorkerProcess:
    """One worker; a context manager that returns when it takes jobs. `kill()` and `start()` begin anew on the same
    data.
    """

    def __init__(
        self,
        folder: Path,
        queue_url: str,
        name: str = "gpu-1",
        *,
        settings: Mapping[str, str | int | float] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`settings`: names without the prefix WORKER_; `environment`: further variables, for the engine's own
        settings.
        """
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.health_port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("WORKER_", "REHEARSAL_"))}
        self._environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "WORKER_NAME": name,
            "WORKER_TOKEN": token_of(name),
            "WORKER_QUEUE_URL": queue_url,
            "WORKER_DATA_DIR": str(folder / "data"),
            "WORKER_HEALTH_PORT": str(self.health_port),
            "REHEARSAL_FAULT_NODES": "true",
            "REHEARSAL_LOAD_SECONDS": "0",
            "REHEARSAL_STEP_SECONDS": "0.01",
            **{f"WORKER_{key}": str(value) for key, value in (settings or {}).items()},
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running worker."""
        assert self._process is not None, "the worker is not running"
        return self._process.pid

    def launch(self) -> None:
        """Start the process and do not wait for anything."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.worker"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Start the process (again); return when it takes jobs."""
        self.launch()
        wait_for(self.is_ready, f"the worker {self.name} to take jobs", limit=START_SECONDS)

    def is_ready(self) -> bool:
        """Whether it takes jobs; raises RuntimeError with the end of its log when the process is gone."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the worker ended: {self.words()[-3000:]}")
        return self.get("/readyz") == 200

    def get(self, path: str) -> int:
        """The status code of a request to the health port; 0 when it does not answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.health_port}{path}", timeout=30).status_code
        except httpx.TransportError:
            return 0

    def words(self) -> str:
        """What it has logged so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        assert self._process is not None
        return self._process.wait(90)

    def stop(self) -> int:
        """Drain it and return the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, as the kernel would; its engine goes with it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(60)

    def __enter__(self) -> "WorkerProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
