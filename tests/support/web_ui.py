"""A real web UI process of one participant, and a browser's side of ComfyUI's protocol."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.support.ports import free_port
from tests.support.queue_process import ROOT, token_of
from tests.support.wait import LIMIT_SECONDS, wait_for


class WebUiProcess:
    """`python -m services.frontend` for one participant; a context manager that returns when it answers."""

    def __init__(self, folder: Path, queue_url: str, participant: str, **settings: str) -> None:
        """`settings`: names without the prefix FRONTEND_."""
        self.participant = participant
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"web-ui-{participant}.log"
        self.token_file = folder / f"{participant}.token"
        folder.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(token_of(participant))
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "FRONTEND_PARTICIPANT": participant,
            "FRONTEND_QUEUE_URL": queue_url,
            "FRONTEND_TOKEN_FILE": str(self.token_file),
            "FRONTEND_DATA_DIR": str(folder / participant),
            "FRONTEND_PORT": str(self.port),
            **{f"FRONTEND_{name}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again) and return when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.frontend"], env=self._environment, stdout=log, stderr=log
            )
        wait_for(self._answers, f"{self.participant}'s web UI to answer")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(60)

    def client(self) -> httpx.Client:
        """An HTTP client at this web UI."""
        return httpx.Client(base_url=self.url, timeout=60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the web UI ended: {self.log.read_text(errors='replace')[-2000:]}"
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> "WebUiProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(60)


class Tab:
    """One browser tab: its socket, and what arrived on it."""

    def __init__(self, web_ui: WebUiProcess, client_id: str | None = None, *, preview_metadata: bool = True) -> None:
        self.client_id = client_id or uuid.uuid4().hex
        self._web_ui = web_ui
        self._flags = {"supports_preview_metadata": preview_metadata}
        self.messages: list[dict[str, Any]] = []
        self.frames: list[bytes] = []

    def __enter__(self) -> "Tab":
        url = f"{self._web_ui.url.replace('http', 'ws', 1)}/ws?clientId={self.client_id}"
        self._opened = connect(url, max_size=None, open_timeout=60)
        self._socket: ClientConnection = self._opened.__enter__()
        self._socket.send(json.dumps({"type": "feature_flags", "data": self._flags}))
        self.until(lambda: "feature_flags" in self.kinds())
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.__exit__(None, None, None)

    def run(self, graph: dict[str, Any], **more: Any) -> str:
        """Press Run; gives the prompt id."""
        with self._web_ui.client() as http:
            answer = http.post("/api/prompt", json={"prompt": graph, "client_id": self.client_id, **more})
        assert answer.status_code == 200, answer.text
        prompt_id: str = answer.json()["prompt_id"]
        return prompt_id

    def until(self, condition: Any, limit: float = LIMIT_SECONDS) -> None:
        """Read until `condition()` is true."""
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f"in vain; arrived: {self.kinds()}"
            try:
                message = self._socket.recv(timeout=1)
            except TimeoutError:
                continue
            if isinstance(message, bytes):
                self.frames.append(message)
            else:
                self.messages.append(json.loads(message))

    def until_ended(self, prompt_id: str) -> None:
        """Read until the run is over: no node executing."""
        over = {"node": None, "prompt_id": prompt_id}
        self.until(lambda: any(m["type"] == "executing" and m["data"] == over for m in self.messages))

    def kinds(self) -> list[str]:
        """The kinds of the messages so far, in order."""
        return [message["type"] for message in self.messages]

    def of_kind(self, kind: str) -> list[Any]:
        """The payloads of one kind."""
        return [message["data"] for message in self.messages if message["type"] == kind]


def picture_graph(colour: int = 0x336699, *, side: int = 32, prefix: str = "ComfyUI") -> dict[str, Any]:
    """The smallest graph with a result: one plain picture, saved."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": side, "height": side, "batch_size": 1, "color": colour},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def slow_graph(seconds: float = 60) -> dict[str, Any]:
    """A run that goes on for so long, with progress, until somebody stops it."""
    return {
        "1": {"class_type": "RehearsalSlow", "inputs": {"seconds": seconds, "steps": 600, "preview": True}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "slow"}},
    }
