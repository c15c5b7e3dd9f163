"""Looks before a job starts whether its models fit into the GPU, and makes room if they would.

The rule is `services/domain/gpu_memory.py`'s. Free memory comes from ComfyUI, which also counts what its own
allocator can use again; where it is short and the GPU is on this host, torch has the last word.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from services.domain import gpu_memory
from services.domain.gpu_memory import Verdict, in_words
from services.domain.job import JobError
from services.kit.logs import get_logger
from services.worker.comfyui.backend import Engine
from services.worker.comfyui.outcome import Failed, failure
from services.worker.gpu import probe_gpu
from services.worker.settings import Backend

_log = get_logger(__name__)
_UNLOAD_SECONDS = 10.0
_UNLOAD_PAUSE = 0.25


@dataclass(frozen=True)
class Memory:
    """A GPU's memory in bytes."""

    name: str
    free: int
    total: int


def memory_in(stats: dict[str, Any]) -> Memory | None:
    """The first GPU in ComfyUI's /system_stats; None where it computes on the CPU."""
    devices = stats.get("devices") or []
    device = devices[0] if devices and isinstance(devices[0], dict) else {}
    if device.get("type") in (None, "cpu") or not device.get("vram_total"):
        return None
    return Memory(str(device.get("name", "")), int(device.get("vram_free") or 0), int(device["vram_total"]))


class MemoryGuard:
    """Admits jobs to one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sizes: dict[str, int | None] = {}
        """Model file -> bytes, as the engine's model list had it."""

    async def refuse(self, models: set[str]) -> Failed | None:
        """Why a job with these models cannot start here, or None. Asks ComfyUI to unload when that may help."""
        need = gpu_memory.needed(self.sizes.get(name) for name in models)
        memory = await self._read()
        if need is None or memory is None:
            return None
        verdict = self._judge(need, memory)
        if verdict is Verdict.UNLOAD_FIRST:
            _log.info("models are unloaded to make room", needed=in_words(need), free=in_words(memory.free))
            memory = await self._unload(need, memory)
            verdict = self._judge(need, memory)
        if verdict is Verdict.FITS:
            return None
        return self._refusal(need, memory, verdict)

    def _judge(self, need: int, memory: Memory) -> Verdict:
        return gpu_memory.judge(need, memory.free, memory.total, self._engine.settings.gpu_reserve_bytes)

    async def _read(self) -> Memory | None:
        try:
            return memory_in(await self._engine.client.system_stats())
        except (httpx.HTTPError, ValueError):
            return None

    async def _unload(self, need: int, memory: Memory) -> Memory:
        """Ask ComfyUI to unload and read again until there is room, or it has had its time."""
        await self._engine.client.free()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _UNLOAD_SECONDS
        while True:
            await asyncio.sleep(_UNLOAD_PAUSE)
            memory = await self._read() or memory
            if self._judge(need, memory) is Verdict.FITS or loop.time() > deadline:
                break
        if self._judge(need, memory) is not Verdict.FITS and self._engine.settings.backend is Backend.LOCAL:
            reading = await probe_gpu(str(self._engine.settings.comfyui_python))
            if reading.available:
                memory = Memory(reading.name, reading.free, reading.total)
        return memory

    def _refusal(self, need: int, memory: Memory, verdict: Verdict) -> Failed:
        reserve = in_words(self._engine.settings.gpu_reserve_bytes)
        if verdict is Verdict.TOO_LARGE:
            return Failed(
                JobError(
                    type="too_large",
                    message=f"The largest model of this workflow needs {in_words(need)} and {reserve} of reserve, but "
                    f"the GPU has {in_words(memory.total)} in all; choose a smaller model.",
                ),
                retryable=False,
            )
        return failure(
            "gpu_busy",
            f"{in_words(need)} of GPU memory and {reserve} of reserve are needed, but after unloading only "
            f"{in_words(memory.free)} are free; another program holds the rest.",
            retryable=True,
        )
