"""A real console process, and stack outputs for it to read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from services.domain.stack_outputs import StackOutputs
from tests.support.ports import free_port
from tests.support.queue_process import ROOT, token_of
from tests.support.wait import wait_for


class ConsoleProcess:
    """`python -m services.admin` on a free port; a context manager that returns when it answers."""

    def __init__(self, folder: Path, queue_url: str, door_secret: str, *, operator: str = "otto") -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.outputs = folder / "stack-outputs.json"
        self.token_file = folder / "console.token"
        self.log = folder / "console.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(token_of(operator))
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "ADMIN_PORT": str(self.port),
            "ADMIN_QUEUE_URL": queue_url,
            "ADMIN_TOKEN_FILE": str(self.token_file),
            "ADMIN_DOOR_SECRET": door_secret,
            "ADMIN_STACK_OUTPUTS_FILE": str(self.outputs),
            "ADMIN_PROBE_SECONDS": "0.5",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self) -> int:
        """End it in order; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def __enter__(self) -> "ConsoleProcess":
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.admin"], env=self._environment, stdout=log, stderr=log
            )
        wait_for(self._answers, "the console to answer")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()[-3000:]
        try:
            return httpx.get(f"http://{self.address}/healthz", timeout=30).status_code == 200
        except httpx.TransportError:
            return False


def stack_outputs(**health_urls: str) -> dict[str, Any]:
    """The outputs of a small stack with these containers (underscores stand for hyphens) on its app host."""
    limits = {"memory_mb": 512, "cpus": 0.5}
    containers = [
        {"name": f"comfyume-test-{name.replace('_', '-')}", "role": name.replace("_", "-"), "host": "comfyume-test-app",
         "image": f"comfyume/{name}:0123456789ab", "health_url": url, **limits}
        for name, url in health_urls.items()
    ]  # fmt: skip
    document = {
        "project": "comfyume",
        "stack": "test",
        "public_url": "https://workshop.example",
        "participant_url": "https://workshop.example/{name}/",
        "queue_url": "http://100.64.0.1:8180",
        "hosts": [
            {"name": "comfyume-test-app", "role": "app", "provider": "hetzner", "machine_type": "cax31",
             "location": "fsn1", "address": "192.0.2.10", "tailnet_address": "100.64.0.1", "price_per_hour": 0.02},
            {"name": "comfyume-test-gpu-1", "role": "gpu", "provider": "verda", "machine_type": "1H200.141S.44V",
             "location": "FIN-01", "address": "192.0.2.20", "tailnet_address": "100.64.0.2", "price_per_hour": None},
        ],
        "containers": containers,
        "frontend": {"name": "comfyume-test-frontend-{name}", "role": "frontend", "host": "comfyume-test-app",
                     "image": "comfyume/frontend:0123456789ab", **limits},
        "buckets": [],
        "schedules": [],
        "links": [{"title": "Grafana", "url": "https://grafana.workshop.example"}],
    }  # fmt: skip
    return StackOutputs.model_validate(document).model_dump(mode="json")


def write_outputs(file: Path, outputs: dict[str, Any]) -> None:
    """Put the outputs where the console looks, whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(outputs))
    fresh.replace(file)
