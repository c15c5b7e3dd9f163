"""A local workshop as a person has it: `python -m services.local up` as a process, and `comfyume` beside it."""

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydantic import SecretStr

from services.kit.api_client import ApiClient
from services.local.running import is_alive
from tests.support.ports import free_port, free_ports
from tests.support.wait import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST_JOB = REPOSITORY / "services" / "local" / "examples" / "first-job"
PORTS = ("QUEUE", "REDIS", "AUTH", "CONSOLE", "DOOR", "DOOR_HTTP")
MOST_PARTICIPANTS = 5
"""Each has a web UI on a port of its own, one after the other."""

UP = "Ctrl-C stops the workshop"
"""The last sentence of a complete start."""


class LocalWorkshop:
    """One workshop in a folder of its own, on free ports. May be started again after any kind of end."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder / "workshop"
        self.printed = folder / "printed.txt"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("WORKSHOP_", "COMFY", "QUEUE_", "WORKER_", "FORCE_COLOR"))
            },
            "WORKSHOP_FOLDER": str(self.folder),
            **{f"WORKSHOP_{name}_PORT": str(free_port()) for name in PORTS},
            "WORKSHOP_WEB_UI_PORT": str(free_ports(MOST_PARTICIPANTS)),
            "COMFYUME_WORKSHOP": str(self.folder),
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return without waiting."""
        with self.printed.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.local", "up"],
                cwd=REPOSITORY, env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip

    def ensure_up(self) -> None:
        """Start it unless it runs, and wait until it says that it is up."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        wait_for(lambda: UP in self.text or self._ended(), "the workshop to be up", limit=240)
        assert UP in self.text, self.text

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    @property
    def text(self) -> str:
        """What the current run has printed so far."""
        return self.printed.read_text(encoding="utf-8", errors="replace")

    @property
    def recorded(self) -> dict[str, Any]:
        """What `running.json` says."""
        return dict(json.loads((self.folder / "running.json").read_text(encoding="utf-8")))

    def pid(self, part: str) -> int:
        """The process id of one part, 0 while it does not run."""
        return next((int(one["pid"]) for one in self.recorded["parts"] if one["name"] == part), 0)

    def said(self, part: str, words: str) -> int:
        """How often the runner said something about a part that begins with these words."""
        return len(re.findall(rf"^\S+ {re.escape(part)} *\| {re.escape(words)}", self.text, re.MULTILINE))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it in order and return its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(240)

    def kill_runner(self) -> None:
        """SIGKILL for the program that runs the parts; they stay behind."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def kill_everything(self) -> None:
        """SIGKILL for the runner, every part, and whatever those started: like a power cut, without the disk's part."""
        assert self._process is not None
        # The runner first: it would start the others again.
        family: dict[int, psutil.Process] = {}
        for pid in (self._process.pid, *(int(one["pid"]) for one in self.recorded["parts"])):
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(pid)
                family |= {process.pid: process for process in (root, *root.children(recursive=True))}
        for process in family.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(60)
        wait_for(lambda: not any(is_alive(process) for process in family.values()), "every process to be gone")

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self.kill_everything()

    def verb(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m services.local` with these arguments and wait for it."""
        return self._run(sys.executable, "-m", "services.local", *arguments, **variables)

    def comfyume(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line and wait for it."""
        return self._run(sys.executable, "-m", "services.cli", *arguments)

    def api(self, name: str) -> ApiClient:
        """A client with this person's credential."""
        known = [json.loads(file.read_text()) for file in (self.folder / "credentials").glob("*.json")]
        token = next(one["token"] for one in known if one["name"] == name)
        return ApiClient(self.recorded["url"], SecretStr(token))

    def password(self, name: str) -> str:
        """This person's password as it is now."""
        people = json.loads((self.folder / "sign-in.json").read_text(encoding="utf-8"))
        return str(next(one["password"] for one in people if one["name"] == name))

    def browser(self, name: str) -> httpx.Client:
        """A browser at the front door that knows this person's password as it is now."""
        trust = ssl.create_default_context(cafile=str(self.folder / "door" / "certificate.pem"))
        url = f"https://127.0.0.1:{self.environment['WORKSHOP_DOOR_PORT']}"
        return httpx.Client(base_url=url, verify=trust, auth=(name, self.password(name)), timeout=60)

    def _run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=REPOSITORY, env={**self.environment, **variables}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
