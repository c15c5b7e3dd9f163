"""Input files on their way to ComfyUI: fetched once by content hash, kept in a bounded cache, placed where a graph
finds them.

Names inside the graph are `graph.py`'s business.
"""

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import httpx
import tenacity

from services.domain.errors import LeaseLost, Unavailable, WorkshopError
from services.domain.job import InputFile, Lease
from services.kit.file_download import PARTIAL_SUFFIX, DownloadDamaged, download_file
from services.kit.logs import get_logger
from services.worker.artifacts.graph import input_folder_of, placed_name
from services.worker.comfyui.backend import Engine
from services.worker.comfyui.client import FileName
from services.worker.queue_client import QueueClient, error_of

_log = get_logger(__name__)


_UPLOAD_LIMIT = 100 << 20
"""Bytes; ComfyUI's own default. Above it, ComfyUI may hang up in the middle instead of answering 413."""
TOO_LARGE = "it is larger than ComfyUI's --max-upload-size"


class InputUnusable(WorkshopError):
    """An input file could not be brought to ComfyUI; the message names it."""


class InputCache:
    """A folder of files named by their SHA-256; the longest unused go first when it grows over its bound."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        for broken in folder.glob(f"*{PARTIAL_SUFFIX}"):
            broken.unlink(missing_ok=True)

    async def fetch(self, queue: QueueClient, lease: Lease, file: InputFile) -> Path:
        """Return the path of the input's content, downloading it if it is not there. Raises LeaseLost,
        InputUnusable.
        """
        path = self._folder / file.sha256
        if path.exists() and path.stat().st_size == file.size:
            os.utime(path)
            return path
        client, url, headers = queue.open_input(lease, file.sha256)
        try:
            async for attempt in _few_tries():
                with attempt:
                    await _download(client, url, path, file, headers)
        except DownloadDamaged as error:
            raise InputUnusable(f"The input {file.name!r} arrived damaged three times; upload it again.") from error
        return path

    def trim(self, in_use: Iterable[str] = ()) -> None:
        """Remove the longest unused files until the bound holds; those `in_use` (hashes) stay."""
        kept = set(in_use)
        files = sorted((f for f in self._folder.iterdir() if f.is_file()), key=lambda f: f.stat().st_mtime)
        total = sum(f.stat().st_size for f in files)
        for file in files:
            if total <= self._max_bytes:
                return
            if file.name not in kept:
                total -= file.stat().st_size
                file.unlink()


async def _download(client: httpx.AsyncClient, url: str, path: Path, file: InputFile, headers: dict[str, str]) -> None:
    try:
        await download_file(client, url, path, sha256=file.sha256, size=file.size, headers=headers)
    except httpx.HTTPStatusError as error:
        refusal = error_of(error.response)
        if isinstance(refusal, LeaseLost | Unavailable):
            raise refusal from error
        raise InputUnusable(f"The input {file.name!r} could not be fetched: {refusal.message}") from error


def _few_tries() -> tenacity.AsyncRetrying:
    """Damage is tried three times; an absent queue manager for as long as it takes."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type((httpx.TransportError, Unavailable, DownloadDamaged)),
        stop=_damaged_thrice,
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0, min=0.05),
        reraise=True,
    )


def _damaged_thrice(state: tenacity.RetryCallState) -> bool:
    damaged = state.outcome is not None and isinstance(state.outcome.exception(), DownloadDamaged)
    return damaged and state.attempt_number >= 3


async def place_input(engine: Engine, file: InputFile, content: Path) -> None:
    """Put the content where the graph's new name points to. Raises InputUnusable."""
    name = placed_name(file)
    if engine.input_folder is not None:
        await asyncio.to_thread(_link_or_copy, content, engine.input_folder / name)
        return
    subfolder, base = input_folder_of(file.sha256), name.rpartition("/")[2]
    if await engine.client.size_of(FileName(base, subfolder, "input")) == file.size:
        return
    try:
        await engine.client.upload(content, base, subfolder)
    except httpx.HTTPStatusError as error:
        hint = TOO_LARGE if error.response.status_code == 413 else "it refuses it"
        raise InputUnusable(f"The input {file.name!r} could not be handed to ComfyUI: {hint}.") from error
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError) as error:
        if file.size <= _UPLOAD_LIMIT:
            raise
        raise InputUnusable(f"The input {file.name!r} could not be handed to ComfyUI: {TOO_LARGE}.") from error


def _link_or_copy(content: Path, target: Path) -> None:
    """A copy rather than a link where the file systems differ. Nodes only read inputs, so a link is safe."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(content, target)
    except OSError:
        shutil.copyfile(content, target)
