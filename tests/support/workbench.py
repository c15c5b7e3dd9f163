"""People and a worker that speak to a queue manager over HTTP, for tests of what passes through it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer

PEOPLE = (
    *(("participant", f"p{number}") for number in range(200)),
    ("instructor", "ines"),
    ("operator", "otto"),
    ("worker", "gpu-1"),
    ("worker", "gpu-2"),
)

OBJECT_INFO: dict[str, Any] = {
    "LoadImage": {
        "input": {"required": {"image": [["of-the-worker.png"], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
        "output_node": False,
    },
    "EmptyImage": {
        "input": {"required": {"width": ["INT", {"default": 512, "min": 1, "max": 16384}]}},
        "output": ["IMAGE"],
        "output_node": False,
    },
    "CheckpointLoaderSimple": {
        "input": {"required": {"ckpt_name": [["sd15.safetensors"]]}},
        "output": ["MODEL", "CLIP", "VAE"],
        "output_node": False,
    },
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}},
        "output": [],
        "output_node": True,
    },
}
"""What the workers of these tests offer."""

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
}
"""A graph that they can run."""


class Person:
    """A participant (or instructor, or operator) with a signed-in client."""

    def __init__(self, queue: QueueProcess, name: str) -> None:
        self.name = name
        self.http: httpx.Client = queue.client(name)

    def submit(self, graph: dict[str, Any] | None = None) -> str:
        """Submit a graph; returns the job's id."""
        answer = self.http.post("/api/jobs", json={"workflow": graph or GRAPH})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Read a job's record."""
        answer = self.http.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def unwrap(answer: httpx.Response) -> tuple[dict[str, Any], bytes]:
    """Take the answer of POST /api/leases apart: the lease, and the raw workflow behind it."""
    assert answer.status_code == 200, (answer.status_code, answer.text)
    size = int.from_bytes(answer.content[:4], "big")
    return json.loads(answer.content[4 : 4 + size]), answer.content[4 + size :]


@dataclass
class Leased:
    """A job as a worker holds it."""

    lease: dict[str, Any]
    workflow: dict[str, Any]
    http: httpx.Client

    @property
    def path(self) -> str:
        """Where the worker reports about it."""
        return f"/api/leases/{self.lease['job_id']}"

    @property
    def headers(self) -> dict[str, str]:
        """The token that says whose job it is."""
        return {"X-Lease-Token": self.lease["token"]}

    def upload(
        self,
        filename: str,
        content: bytes | Iterator[bytes],
        *,
        type_: str = "output",
        subfolder: str = "",
        **headers: str,
    ) -> httpx.Response:
        """Upload an output file."""
        place = {"node_id": "2", "kind": "images", "type": type_, "subfolder": subfolder, "filename": filename}
        return self.http.put(
            f"{self.path}/outputs", params=place, content=content, headers={**self.headers, **headers}, timeout=300
        )

    def complete(self, executed: dict[str, Any] | None = None) -> httpx.Response:
        """Report success."""
        return self.http.post(f"{self.path}/complete", json={"executed": executed or {}}, headers=self.headers)

    def report(self, what: str, body: dict[str, Any]) -> httpx.Response:
        """Report another end: fail, cancelled, return."""
        return self.http.post(f"{self.path}/{what}", json=body, headers=self.headers)


class Workbench:
    """A queue manager, its Redis, and the hands of its workers; a context manager."""

    def __init__(self, queue: QueueProcess, redis: RedisServer) -> None:
        self.queue = queue
        self.redis = redis
        self._clients: dict[str, httpx.Client] = {}

    @property
    def data(self) -> Path:
        """The queue manager's folder of files."""
        return self.queue.folder / "data"

    def worker(self, name: str) -> httpx.Client:
        """A worker's client."""
        if name not in self._clients:
            self._clients[name] = self.queue.client(name)
        return self._clients[name]

    def register(
        self,
        name: str = "gpu-1",
        object_info: dict[str, Any] | None = None,
        models: dict[str, list[str]] | None = None,
    ) -> None:
        """Have a worker register and publish its catalogue."""
        body = json.dumps(OBJECT_INFO if object_info is None else object_info).encode()
        profile = {
            "comfyui_version": "0.33.0",
            "rehearsal": True,
            "gpu": None,
            "models": {"checkpoints": ["sd15.safetensors"]} if models is None else models,
            "catalogue_sha256": hashlib.sha256(body).hexdigest(),
        }
        answer = self.worker(name).put(f"/api/workers/{name}", json=profile)
        assert answer.status_code == 200, answer.text
        if answer.json()["catalogue_needed"]:
            answer = self.worker(name).put(f"/api/workers/{name}/catalogue", content=body)
            assert answer.status_code == 204, answer.text

    def lease(self, name: str = "gpu-1", *, job_id: str | None = None) -> Leased:
        """Take the next job; with `job_id`, hand others back until that one comes."""
        http = self.worker(name)
        for _ in range(50):
            answer = http.post("/api/leases", json={"worker": name, "wait_seconds": 10, "loaded_model": ""})
            if answer.status_code == 204:
                continue
            lease, workflow = unwrap(answer)
            leased = Leased(lease, json.loads(workflow), http)
            if job_id in (None, lease["job_id"]):
                return leased
            leased.report("return", {"reason": "another job is wanted"})
        raise AssertionError(f"job {job_id} was not handed out")

    def run(self, person: Person, files: dict[str, bytes], graph: dict[str, Any] | None = None) -> str:
        """Submit, run and complete a job that leaves these output files; returns its id."""
        job_id = person.submit(graph)
        leased = self.lease(job_id=job_id)
        for path, content in files.items():
            subfolder, _, filename = path.rpartition("/")
            answer = leased.upload(filename, content, subfolder=subfolder)
            assert answer.status_code == 201, answer.text
        answer = leased.complete()
        assert answer.status_code == 200, answer.text
        return job_id

    def __enter__(self) -> "Workbench":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for client in self._clients.values():
            client.close()
