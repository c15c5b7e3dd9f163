"""Output files on their way out: found in ComfyUI's UI outputs, read by /view, streamed to the queue manager.

Nothing is kept on this machine: what /view sends goes into the upload chunk by chunk, hashed on the way. A file that
cannot be had or does not arrive as sent is an error of its own; whether the job is tried again is the job run's
decision.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from services.domain.job import Lease
from services.worker.comfyui.client import ComfyUIClient, FileName
from services.worker.comfyui.messages import NameMap
from services.worker.queue_client import QueueClient, patiently

_FOLDERS = ("output", "temp")
_CHUNK = 1 << 18


class OutputMissing(Exception):
    """ComfyUI named a file that it does not have."""


class OutputDamaged(Exception):
    """What the queue manager stored is not what ComfyUI sent."""


class EngineBroke(Exception):
    """ComfyUI stopped sending in the middle of a file."""


@dataclass(frozen=True)
class OutputSource:
    """A file in ComfyUI and the place its owner expects it at."""

    node_id: str
    kind: str
    source: FileName
    subfolder: str

    @property
    def place(self) -> dict[str, str]:
        """The parameters of the upload."""
        return {
            "node_id": self.node_id,
            "kind": self.kind,
            "type": self.source.type,
            "subfolder": self.subfolder,
            "filename": self.source.filename,
        }


def find_outputs(outputs: Mapping[str, Any], names: NameMap) -> list[OutputSource]:
    """Every file that the nodes' UI outputs name, of whatever kind, each once.

    Most kinds are lists of `{filename, subfolder, type}`. Previews of 3D models give bare texts instead: a path below
    the output folder (known by the job's own folder) or "temp/<file>".
    """
    found: dict[FileName, OutputSource] = {}
    for node_id, output in outputs.items():
        if not isinstance(output, dict):
            continue
        for kind, items in output.items():
            for name in _files_in(items, kind, names.output_prefix):
                source = OutputSource(str(node_id), str(kind), name, names.back(name.subfolder))
                found.setdefault(name, source)
    return list(found.values())


def _files_in(items: Any, kind: str, own_folder: str) -> Iterator[FileName]:
    for item in items if isinstance(items, list | tuple) else []:
        if isinstance(item, dict) and isinstance(item.get("filename"), str) and item["filename"]:
            folder = item.get("type") or "output"
            if folder in _FOLDERS:  # "input" names a file that its owner has already
                yield FileName(item["filename"], str(item.get("subfolder") or ""), folder)
        elif isinstance(item, str) and kind == "result":
            yield from _file_in_text(item, own_folder)


def _file_in_text(text: str, own_folder: str) -> Iterator[FileName]:
    path = text.removesuffix(" [output]")
    subfolder, _, filename = path.replace("\\", "/").rpartition("/")
    if path.startswith(f"{own_folder}/"):
        yield FileName(filename, subfolder, "output")
    elif subfolder == "temp" and filename:
        yield FileName(filename, "", "temp")


async def deliver_outputs(
    queue: QueueClient, lease: Lease, comfyui: ComfyUIClient, sources: list[OutputSource]
) -> None:
    """Upload all files in ComfyUI's order, which is the order in which their owner sees them.

    Raises OutputMissing, OutputDamaged, EngineBroke, LeaseLost or another WorkshopError; waits while the queue manager
    is away.
    """
    for source in sources:
        async for attempt in patiently():
            with attempt:
                await _deliver_one(queue, lease, comfyui, source)


async def _deliver_one(queue: QueueClient, lease: Lease, comfyui: ComfyUIClient, source: OutputSource) -> None:
    digest = hashlib.sha256()
    async with AsyncExitStack() as stack:
        try:
            answer = await stack.enter_async_context(comfyui.view(source.source))
        except httpx.HTTPError as error:
            raise EngineBroke("ComfyUI does not answer to /view any more.") from error
        if answer.status_code in (400, 403, 404):
            raise OutputMissing(f"ComfyUI names the file {source.source.filename} but does not have it.")
        if answer.is_error:
            raise EngineBroke(f"ComfyUI answered {answer.status_code} to /view.")
        length = answer.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() and "Content-Encoding" not in answer.headers else None
        stored = await queue.upload_output(lease, source.place, _hashed(answer, digest), size)
    if stored.sha256 != digest.hexdigest():
        raise OutputDamaged(f"The file {source.source.filename} was not stored as ComfyUI sent it.")


async def _hashed(answer: httpx.Response, digest: "hashlib._Hash") -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_bytes(_CHUNK):
            digest.update(chunk)
            yield chunk
    except httpx.TransportError as error:
        raise EngineBroke("ComfyUI broke off in the middle of a file.") from error
