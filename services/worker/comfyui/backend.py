"""The three kinds of ComfyUI that a worker can drive, behind one small interface.

`Engine` is what the agent sees: an address, whether it is ready, whether it is ours to restart. How a job runs on it is
`execution.py`'s business.
"""

import asyncio
import re
import shutil
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from services.kit.logs import get_logger
from services.worker.comfyui.client import ComfyUIClient
from services.worker.comfyui.process import EngineProcess, free_port
from services.worker.comfyui.websocket import greets
from services.worker.gpu import probe_gpu
from services.worker.settings import Backend, WorkerSettings

_log = get_logger(__name__)

VERSION_FLOOR = (0, 28, 0)
"""Older ComfyUI lets one user's LoadImage read another's files (GHSA-779p-m5rp-r4h4, fixed in 0.28.0)."""

_PROBE_PAUSE = 0.1
_BACK_OFF_MAX = 30.0


class EngineRefused(Exception):
    """This ComfyUI must not be used; the message says why and what to do."""


class EngineNotReady(Exception):
    """The engine did not come up in time, or ended while it started."""


class Engine(ABC):
    """A ComfyUI server that runs this worker's jobs."""

    owned = False
    """Whether the worker may restart it and write into its folders."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.stats: dict[str, Any] = {}
        self._client: ComfyUIClient | None = None

    @property
    def client(self) -> ComfyUIClient:
        """HTTP to the engine; there once `ensure_ready` returned."""
        assert self._client is not None, "ensure_ready has to come first"
        return self._client

    @property
    def version(self) -> str:
        """ComfyUI's version as /system_stats gave it."""
        return str(self.stats.get("system", {}).get("comfyui_version", ""))

    @property
    def exited(self) -> "asyncio.Future[int] | None":
        """Done when the engine's process is gone; None where there is no process to watch."""
        return None

    @property
    def input_folder(self) -> Path | None:
        """ComfyUI's input folder, where the worker can reach it."""
        return None

    @property
    def output_folders(self) -> list[Path]:
        """ComfyUI's output and temp folders, where the worker can reach them."""
        return []

    @abstractmethod
    async def ensure_ready(self) -> None:
        """Return when the engine answers; raises EngineRefused, or EngineNotReady for trying again."""

    async def restart(self) -> None:  # noqa: B027  (somebody else's engine is left alone)
        """Begin anew after a crash or hang; nothing where it is somebody else's engine."""

    async def stop(self) -> None:
        """Let go of the engine."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _connect(self, url: str, token: SecretStr | None = None) -> None:
        if self._client is None or self._client.base_url != url:
            if self._client is not None:
                await self._client.close()
            self._client = ComfyUIClient(url, token)

    async def _answers(self) -> bool:
        """The probe: /system_stats answers and the websocket greets. Raises EngineRefused for an old version, and
        EngineNotReady where a token is demanded and not given.
        """
        try:
            stats = await self.client.system_stats()
        except httpx.HTTPStatusError as error:
            if error.response.status_code in (401, 403):
                raise EngineNotReady(
                    f"The ComfyUI at {self.client.base_url} refuses the worker; set WORKER_COMFYUI_TOKEN to its token."
                ) from error
            return False
        except (httpx.HTTPError, ValueError):
            return False
        name = f"comfyume-probe-{self.settings.name}"
        if not await greets(self.client.base_url, name, self.client.headers):
            return False
        self.stats = stats
        check_version(self.version)
        return True


class RemoteEngine(Engine):
    """Somebody else's ComfyUI at an address: never started, never restarted."""

    async def ensure_ready(self) -> None:
        """Probe once; raises EngineNotReady when it does not answer."""
        await self._connect(str(self.settings.comfyui_url).rstrip("/"), self.settings.comfyui_token)
        if not await self._answers():
            raise EngineNotReady(
                f"No ComfyUI answers at {self.client.base_url}; start it, or change WORKER_COMFYUI_URL."
            )


class OwnedEngine(Engine):
    """An engine that runs as the worker's child and is started again whenever it is gone."""

    owned = True

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self._process: EngineProcess | None = None
        self._failures = 0
        self.folder = settings.data_dir.absolute() / settings.backend.value

    @property
    def exited(self) -> "asyncio.Future[int] | None":
        """Done when the process is gone."""
        return self._process.exited if self._process else None

    @property
    def input_folder(self) -> Path | None:
        """The folder given to the process as its input folder."""
        return self.folder / "input"

    @property
    def output_folders(self) -> list[Path]:
        """The folders given to the process as its output and temp folders."""
        return [self.folder / "output", self.folder / "temp"]

    @abstractmethod
    async def command(self, port: int) -> tuple[list[str], Path | None, dict[str, str]]:
        """Arguments, working directory and environment of the process."""

    async def ensure_ready(self) -> None:
        """Start the process if it is gone, with a growing pause after failures, and wait until it answers."""
        if self._process is not None and self._process.running and await self._answers():
            return
        await self._end_process()
        if self._failures:
            await asyncio.sleep(min(0.5 * 2 ** (self._failures - 1), _BACK_OFF_MAX))
        self._failures += 1
        await self._start()
        self._failures = 0

    async def _start(self) -> None:
        port = self.settings.comfyui_port or free_port()
        arguments, cwd, environment = await self.command(port)
        self._process = await EngineProcess.start(
            arguments, output=self.folder / "engine.log", cwd=cwd, env=environment
        )
        await self._connect(f"http://127.0.0.1:{port}")
        try:
            async with asyncio.timeout(self.settings.start_seconds):
                while self._process.running:
                    if await self._answers():
                        return
                    await asyncio.sleep(_PROBE_PAUSE)
        except TimeoutError:
            raise EngineNotReady(
                f"The engine did not answer within {self.settings.start_seconds:g} s; see {self.folder / 'engine.log'}."
            ) from None
        raise EngineNotReady(
            f"The engine ended with status {self._process.exited.result()} while it started: {self._process.last_words}"
        )

    async def restart(self) -> None:
        """Kill the process; `ensure_ready` starts the next one."""
        _log.warning("engine is stopped to be started anew")
        if self._process is not None:
            await self._process.stop(gently=False)

    async def stop(self) -> None:
        """End the process in order."""
        await super().stop()
        await self._end_process()

    async def _end_process(self) -> None:
        if self._process is not None:
            if not self._process.running:
                _log.warning("engine is gone", status=self._process.exited.result(), said=self._process.last_words)
            await self._process.stop()
            self._process = None


class RehearsalEngine(OwnedEngine):
    """The built-in stand-in, a process of this project."""

    async def command(self, port: int) -> tuple[list[str], Path | None, dict[str, str]]:
        """`python -m services.worker.rehearsal` with its settings in the environment."""
        environment = {
            "REHEARSAL_HOST": "127.0.0.1",
            "REHEARSAL_PORT": str(port),
            "REHEARSAL_DATA_DIR": str(self.folder),
        }
        return [sys.executable, "-m", "services.worker.rehearsal"], None, environment


class LocalEngine(OwnedEngine):
    """A ComfyUI installed on this host, with folders of its own for this worker."""

    async def command(self, port: int) -> tuple[list[str], Path | None, dict[str, str]]:
        """`python main.py` in COMFYUI_DIR; with --cpu where torch finds no accelerator."""
        for name in ("input", "output", "temp", "user"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        python = str(self.settings.comfyui_python)
        arguments = [python, "main.py", "--listen", "127.0.0.1", "--port", str(port), "--disable-auto-launch"]
        arguments += [
            "--input-directory",
            str(self.folder / "input"),
            "--output-directory",
            str(self.folder / "output"),
        ]
        arguments += ["--temp-directory", str(self.folder), "--user-directory", str(self.folder / "user")]
        arguments += ["--database-url", f"sqlite:///{self.folder / 'user' / 'comfyui.db'}"]
        extra = list(self.settings.comfyui_args)
        if "--preview-method" not in extra:
            extra += ["--preview-method", "auto"]
        if "--cpu" not in extra and not (reading := await probe_gpu(python)).available:
            _log.warning("ComfyUI is started with --cpu", reason=reading.reason)
            extra.append("--cpu")
        return arguments + extra, self.settings.comfyui_dir, {}


def make_engine(settings: WorkerSettings) -> Engine:
    """The engine that the settings name."""
    kinds: dict[Backend, type[Engine]] = {
        Backend.REHEARSAL: RehearsalEngine,
        Backend.LOCAL: LocalEngine,
        Backend.URL: RemoteEngine,
    }
    return kinds[settings.backend](settings)


def check_version(version: str) -> None:
    """Raise EngineRefused for a ComfyUI below the floor, or one that does not say its version."""
    numbers = re.findall(r"\d+", version)
    floor = ".".join(map(str, VERSION_FLOOR))
    if not numbers:
        raise EngineRefused(f"This ComfyUI does not say its version; {floor} or later is needed.")
    if tuple(int(n) for n in numbers[:3]) < VERSION_FLOOR:
        raise EngineRefused(
            f"ComfyUI {version} is too old: before {floor} one participant could read another's files. Update it."
        )


def remove_tree(folder: Path) -> None:
    """Delete a folder with all its files; nothing happens when it is not there."""
    shutil.rmtree(folder, ignore_errors=True)
