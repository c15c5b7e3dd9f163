"""A real queue manager process on a free port, with credentials for everybody a test needs."""

import hashlib
import os
import signal
import ssl
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from tests.support.credentials import write_credentials
from tests.support.ports import free_port
from tests.support.wait import wait_for

ROOT = Path(__file__).parents[2]
EVERYBODY = (
    ("participant", "alice"),
    ("participant", "bob"),
    ("participant", "carol"),
    ("instructor", "ines"),
    ("operator", "otto"),
    ("worker", "gpu-1"),
    ("worker", "gpu-2"),
    ("worker", "gpu-3"),
)


PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""No certificates are read for clients that speak plain HTTP; reading them takes longer than most requests here."""


def token_of(name: str) -> str:
    """The token that QueueProcess gives to `name`; the same in every run, for tests only."""
    return "cme_" + urlsafe_b64encode(hashlib.sha256(f"test {name}".encode()).digest()).decode().rstrip("=")


def bearer(name: str) -> dict[str, str]:
    """The header that signs `name` in."""
    return {"Authorization": f"Bearer {token_of(name)}"}


class QueueProcess:
    """One queue manager; a context manager. `kill()` and `start()` come back on the same port with the same data."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        *,
        people: tuple[tuple[str, str], ...] = EVERYBODY,
        settings: Mapping[str, str | int | float] | None = None,
    ) -> None:
        """`settings`: names without the prefix QUEUE_, for example {"LEASE_SECONDS": 2}."""
        self.folder = folder
        self.port = free_port()
        self.log = folder / "queue-manager.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.credentials = write_credentials(
            folder / "credentials", ((role, name, token_of(name)) for role, name in people)
        )
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("QUEUE_")} | {
            "PYTHONPATH": str(ROOT),
            "QUEUE_REDIS_URL": redis_url,
            "QUEUE_PORT": str(self.port),
            "QUEUE_DATA_DIR": str(folder / "data"),
            "QUEUE_CREDENTIALS_DIR": str(self.credentials),
            **{f"QUEUE_{key}": str(value) for key, value in (settings or {}).items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running manager."""
        assert self._process is not None, "the queue manager is not running"
        return self._process.pid

    def client(self, name: str | None = None, timeout: float = 60) -> httpx.Client:
        """A client that is signed in as `name` (None: nobody)."""
        return httpx.Client(base_url=self.url, headers=bearer(name) if name else {}, timeout=timeout, verify=PLAIN)

    def async_client(self, name: str | None = None, timeout: float = 60) -> httpx.AsyncClient:
        """The same for asynchronous tests."""
        headers = bearer(name) if name else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout, verify=PLAIN)

    def start(self, *, wait_ready: bool = True) -> None:
        """Start the process (again); return when /readyz (or only /healthz) answers 200."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.queue_manager"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        path = "/readyz" if wait_ready else "/healthz"
        wait_for(lambda: self._answers(path), f"{path} of the queue manager to answer 200")

    def _answers(self, path: str) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the queue manager ended: {self.log.read_text(errors='replace')[-3000:]}")
        try:
            return httpx.get(self.url + path, timeout=30, verify=PLAIN).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """End it in order; returns the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as the kernel would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            os.kill(process.pid, how)
        return process.wait(60)

    def __enter__(self) -> "QueueProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
