"""The room under test: a real Redis, one queue manager, workers with rehearsal engines; all can be killed."""

import random
import secrets
import sys
from pathlib import Path
from types import TracebackType

import httpx

from tests.chaos.plan import Plan
from tests.chaos.processes import Killable
from tests.support.credentials import write_credentials
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for

START_LIMIT_SECONDS = 300.0


class Workshop:
    """A context manager; `folder` holds everything that the room writes."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.people = [f"person-{number}" for number in range(plan.people)]
        self.instructor = "teacher"
        workers = [f"worker-{number}" for number in range(plan.workers)]
        roles = dict.fromkeys(self.people, "participant") | dict.fromkeys(workers, "worker")
        roles[self.instructor] = "instructor"
        self.tokens = {name: f"cme_{secrets.token_urlsafe(32)}" for name in roles}
        folder.mkdir(parents=True)
        people = ((role, name, self.tokens[name]) for name, role in roles.items())
        self.credentials = write_credentials(folder / "credentials", people)
        self.redis = RedisServer(folder / "redis", "--appendfsync", plan.appendfsync)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.manager = self._make_manager(plan)
        self.workers = {name: self._make_worker(name) for name in workers}

    def _make_manager(self, plan: Plan) -> Killable:
        environment = {
            "QUEUE_REDIS_URL": self.redis.url,
            "QUEUE_DATA_DIR": str(self.data),
            "QUEUE_PORT": str(self._port),
            "QUEUE_LEASE_SECONDS": str(plan.lease_seconds),
            "QUEUE_EVENTS_LENGTH": "100000",
            "QUEUE_CREDENTIALS_DIR": str(self.credentials),
        }
        command = [sys.executable, "-m", "services.queue_manager"]
        return Killable("manager", command, environment, self.folder / "manager.log")

    def _make_worker(self, name: str) -> Killable:
        environment = {
            "WORKER_NAME": name,
            "WORKER_QUEUE_URL": self.url,
            "WORKER_TOKEN": self.tokens[name],
            "WORKER_BACKEND": "rehearsal",
            "WORKER_DATA_DIR": str(self.folder / name),
            "REHEARSAL_FAULT_NODES": "true",
            "REHEARSAL_STEP_SECONDS": "0.01",
            "REHEARSAL_LOAD_SECONDS": "0",
        }
        command = [sys.executable, "-m", "services.worker"]
        return Killable(name, command, environment, self.folder / f"{name}.log")

    def client(self, name: str) -> httpx.AsyncClient:
        """An HTTP client that speaks for `name`."""
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def __enter__(self) -> "Workshop":
        self.redis.start()
        self.manager.start()
        for worker in self.workers.values():
            worker.start()
        try:
            wait_for(self.is_whole, "the room to be ready", START_LIMIT_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for process in [*self.workers.values(), self.manager]:
            process.kill()
        self.redis.kill()

    def is_whole(self) -> bool:
        """Whether the manager answers and every worker is there and able to take a job."""
        headers = {"Authorization": f"Bearer {self.tokens[self.instructor]}"}
        try:
            answer = httpx.get(f"{self.url}/api/workers", headers=headers, timeout=10, trust_env=False)
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        up = {worker["name"] for worker in answer.json() if worker["state"] in ("idle", "busy")}
        return up == set(self.workers)

    def logs(self) -> str:
        """The ends of all logs, for the report of a failure."""
        parts = [self.manager, *self.workers.values()]
        return "\n".join(f"--- {part.name}\n{part.log_tail}" for part in parts)


def pick_victim(workshop: Workshop, dice: random.Random) -> str:
    """Who dies next: manager, Redis, a worker with its engine, or an engine alone."""
    workers = list(workshop.workers)
    return dice.choice(["manager", "redis", *workers, f"engine of {dice.choice(workers)}"])
