"""Our side under test: a real queue manager alone on its core, twenty participants, a worker's half of the protocol.

The worker here only speaks the protocol: what a real worker does with a job is ComfyUI's time, not ours.
"""

import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import pin, server_core
from tests.benchmarks.servers import Server
from tests.benchmarks.wire import HttpConnection, http_request
from tests.benchmarks.workflows import catalogue
from tests.support.credentials import write_credentials
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for

PEOPLE = 20
WORKERS = 8
NO_CAP = "100000"


@dataclass(frozen=True)
class Room:
    """A running queue manager and everybody's tokens, by name."""

    server: Server
    tokens: dict[str, str]

    @property
    def participants(self) -> list[str]:
        """The participants' tokens."""
        return [token for name, token in self.tokens.items() if name.startswith("person-")]


@contextlib.contextmanager
def queue_manager(redis: RedisServer, lease_seconds: float = 30, running_cap: int = 1) -> Iterator[Room]:
    """Start a queue manager with no cap on waiting jobs; it is pinned and ready."""
    names = {f"person-{n}": "participant" for n in range(PEOPLE)} | {f"worker-{n}": "worker" for n in range(WORKERS)}
    tokens = {name: f"cme_{secrets.token_urlsafe(32)}" for name in names}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-room-") as folder:
        people = ((role, name, tokens[name]) for name, role in names.items())
        credentials = write_credentials(Path(folder) / "credentials", people)
        environment = {
            **os.environ,
            "QUEUE_REDIS_URL": redis.url,
            "QUEUE_DATA_DIR": str(Path(folder) / "data"),
            "QUEUE_PORT": str(port),
            "QUEUE_WAITING_CAP": NO_CAP,
            "QUEUE_RUNNING_CAP": str(running_cap),
            "QUEUE_LEASE_SECONDS": str(lease_seconds),
            "QUEUE_CREDENTIALS_DIR": str(credentials),
            "QUEUE_LOG_LEVEL": "WARNING",
        }
        process = subprocess.Popen([sys.executable, "-m", "services.queue_manager"], env=environment)
        try:
            pin(process.pid, server_core())
            wait_for(lambda: _is_ready(port, process), "the queue manager to be ready")
            pin(process.pid, server_core())
            yield Room(Server(process.pid, port), tokens)
        finally:
            process.kill()
            process.wait(30)


def _is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError("the queue manager ended at once; its message stands above")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class BenchWorker:
    """A worker's half of the protocol over one connection of its own."""

    def __init__(self, connection: HttpConnection, name: str, token: str) -> None:
        self._connection = connection
        self._token = token
        self._name = name
        body = json.dumps({"worker": name, "wait_seconds": 20, "loaded_model": ""}).encode()
        self._ask_for_work = http_request("POST", "/api/leases", token, body)

    @classmethod
    async def register(cls, room: Room, number: int = 0) -> "BenchWorker":
        """Connect and make the worker known, with a small catalogue."""
        name = f"worker-{number}"
        worker = cls(await HttpConnection.connect(room.server.port), name, room.tokens[name])
        content = catalogue()
        digest = hashlib.sha256(content).hexdigest()
        profile = {
            "comfyui_version": "0.33.0",
            "rehearsal": True,
            "gpu": None,
            "models": {},
            "catalogue_sha256": digest,
        }
        known = await worker.ask("PUT", f"/api/workers/{name}", json.dumps(profile).encode())
        if json.loads(known)["catalogue_needed"]:
            await worker.ask("PUT", f"/api/workers/{name}/catalogue", content)
        return worker

    async def ask(self, method: str, path: str, body: bytes = b"", lease_token: str = "") -> bytes:
        """One request; the answer's body. Raises when it was refused."""
        headers = {"X-Lease-Token": lease_token} if lease_token else {}
        return await self._checked(http_request(method, path, self._token, body, headers))

    async def _checked(self, request: bytes) -> bytes:
        status, body = await self._connection.ask(request)
        if status >= 400:
            raise RuntimeError(f"{request[:80]!r} was refused with {status}: {body.decode(errors='replace')[:500]}")
        return body

    async def lease(self) -> dict[str, Any]:
        """Ask until there is a job; its lease."""
        while not (body := await self._checked(self._ask_for_work)):
            pass
        length = int.from_bytes(body[:4], "big")
        lease: dict[str, Any] = json.loads(body[4 : 4 + length])
        return lease

    async def complete(self, lease: dict[str, Any]) -> None:
        """End the job as a success."""
        result = {"executed": {}, "cached_nodes": [], "run_seconds": 0.001, "loaded_model": ""}
        path = f"/api/leases/{lease['job_id']}/complete"
        await self.ask("POST", path, json.dumps(result).encode(), lease["token"])

    def close(self) -> None:
        self._connection.close()
