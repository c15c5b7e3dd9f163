"""What a worker publishes about itself: ComfyUI's version, its node catalogue, its models, its GPU."""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from services.domain.catalogue import without_worker_files
from services.worker.artifacts.graph import NodeKind, node_kinds
from services.worker.comfyui.backend import Engine
from services.worker.extension_bundle import ExtensionBundle, read_bundle
from services.worker.gpu import probe_gpu
from services.worker.memory_guard import memory_in
from services.worker.settings import Backend


@dataclass(frozen=True)
class WorkerProfile:
    """One reading of an engine."""

    catalogue: bytes
    """/object_info as JSON, without the names of files that lie in the worker's input folder."""
    extensions: ExtensionBundle
    """The node packs' files for the page."""
    kinds: dict[str, NodeKind]
    model_sizes: dict[str, int | None]
    registration: dict[str, Any]
    """The body of the registration."""


async def read_profile(engine: Engine) -> WorkerProfile:
    """Ask the engine; raises httpx.HTTPError when it does not answer, ValueError when its catalogue is not JSON."""
    object_info = msgspec.json.decode(await engine.client.object_info())
    if not isinstance(object_info, dict) or not object_info:
        raise ValueError("The engine's /object_info lists no nodes.")
    cleaned = {
        name: without_worker_files(name, info) if isinstance(info, dict) else info for name, info in object_info.items()
    }
    catalogue = msgspec.json.encode(cleaned)
    models = await engine.client.models()
    extensions = await read_bundle(engine.client)
    return WorkerProfile(
        catalogue=catalogue,
        extensions=extensions,
        kinds=node_kinds(object_info),
        model_sizes={name: size for files in models.values() for name, size in files.items()},
        registration={
            "comfyui_version": engine.version,
            "rehearsal": engine.settings.backend is Backend.REHEARSAL,
            "gpu": await _gpu(engine),
            "models": {folder: sorted(files) for folder, files in models.items() if files},
            "catalogue_sha256": hashlib.sha256(catalogue).hexdigest(),
            "extensions_sha256": extensions.sha256,
        },
    )


async def _gpu(engine: Engine) -> dict[str, Any] | None:
    """The GPU as torch sees it where it is on this host, else as ComfyUI reports it; None without one."""
    if engine.settings.backend is Backend.LOCAL:
        reading = await probe_gpu(str(engine.settings.comfyui_python))
        if reading.available:
            return {"name": reading.name, "free": reading.free, "total": reading.total, "source": "torch"}
    memory = memory_in(engine.stats)
    if memory is None:
        return None
    return {"name": memory.name, "free": memory.free, "total": memory.total, "source": "comfyui"}
