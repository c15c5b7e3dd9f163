"""A stock ComfyUI as a peer: the one in COMFYUI_DIR, with the Python in COMFYUI_PYTHON, on the processor."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.frontends import answers
from tests.benchmarks.machine import every_core
from tests.support.ports import free_port

MISSING = "no stock ComfyUI beside it: COMFYUI_DIR and COMFYUI_PYTHON name none"
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class StockComfyUi:
    """One that answers."""

    pid: int
    port: int
    ready_seconds: float

    @staticmethod
    def is_there() -> bool:
        """Whether the environment names one that can be started."""
        return "COMFYUI_DIR" in os.environ and "COMFYUI_PYTHON" in os.environ


@contextlib.asynccontextmanager
async def stock_comfyui(*options: str) -> AsyncIterator[StockComfyUi]:
    """Start it with folders of its own and without custom nodes; `ready_seconds` until /system_stats answered."""
    port = free_port()
    with every_core(), tempfile.TemporaryDirectory(prefix="bench-stock-") as folder:
        own = [f"--{name}-directory={folder}/{name}" for name in ("user", "input", "output", "temp")]
        for name in ("user", "input", "output", "temp"):
            (Path(folder) / name).mkdir()
        begun = time.monotonic()
        process = subprocess.Popen(  # noqa: ASYNC220 - the fork takes less than what it starts is measured in
            [os.environ["COMFYUI_PYTHON"], "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port), *own,
             f"--database-url=sqlite:///{folder}/user/comfyui.db", "--disable-all-custom-nodes", *options],
            cwd=os.environ["COMFYUI_DIR"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not await answers(port, "/system_stats"):
                if process.poll() is not None or time.monotonic() - begun > LIMIT_SECONDS:
                    raise RuntimeError("the stock ComfyUI in COMFYUI_DIR does not start; start it by hand to see why")
                await asyncio.sleep(0.05)
            yield StockComfyUi(process.pid, port, time.monotonic() - begun)
        finally:
            process.kill()
            process.wait(60)
