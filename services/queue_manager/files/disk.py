"""Putting bytes on disk so that a file is either whole or not there, in constant memory.

Everything is written under a temporary name in the target's folder, flushed to the disk, and renamed. Whatever breaks
off (the sender, the limit, the disk) leaves nothing behind. Where files belong is the business of inputs.py and
outputs.py.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from services.domain.errors import PayloadTooLarge, StorageFull

BLOCK = 1 << 20
"""Bytes that are collected before a thread hashes and writes them; more than this is never held for one upload."""

RESERVE = 256 << 20
"""Bytes that stay free on the disk, so that records, archives and Redis beside us can still be written."""

TEMPORARY = ".part-"
"""Beginning of every temporary name."""

_ABANDONED_SECONDS = 3600

_LOOK_AGAIN = 64 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """A file that arrived whole, still under its temporary name. `size` in bytes, `sha256` in hexadecimal."""

    path: Path
    sha256: str
    size: int


async def receive(parts: AsyncIterator[bytes], folder: Path, *, limit: int, announced: int = 0) -> Received:
    """Write a stream into a temporary file of `folder`.

    `announced` is the size that the sender named, 0 if none. Raises PayloadTooLarge above `limit` bytes, StorageFull
    when the disk has not enough room, and whatever the stream raises when its sender goes away; nothing is left then.
    """
    if announced > limit:
        raise too_large(limit)
    await asyncio.to_thread(_make_room, folder, announced)
    path = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
    file = await asyncio.to_thread(path.open, "xb")
    digest, size, looked_at = sha256(), 0, 0
    try:
        async for block in _blocks(parts):
            size += len(block)
            if size > limit:
                raise too_large(limit)
            if size - looked_at > _LOOK_AGAIN:
                looked_at = size
                await asyncio.to_thread(_make_room, folder, 0)
            await asyncio.to_thread(_append, file, digest.update, block)
        await asyncio.to_thread(_finish, file)
    except BaseException as error:
        file.close()
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from None
        raise
    return Received(path, digest.hexdigest(), size)


async def _blocks(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join the network's small parts, so that a thread is asked once per block."""
    waiting, size = [], 0
    async for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _append(file: BinaryIO, update: Callable[[bytes], None], block: bytes) -> None:
    update(block)
    file.write(block)


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def keep(received: Received, target: Path) -> None:
    """Give a received file its name; replaces what is there under that name. Blocks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    received.path.replace(target)
    sync_folder(target.parent)


def write_file(target: Path, body: bytes) -> None:
    """Write a small file whole or not at all. Raises StorageFull. Blocks."""
    _make_room(target.parent, len(body))
    path = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        with path.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        path.replace(target)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from None
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut. Blocks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_room(folder: Path, wanted: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < wanted + RESERVE:
        raise disk_full()


def disk_full() -> StorageFull:
    """The refusal for a disk without room."""
    return StorageFull(
        "The queue's disk has not enough room for this file; delete old jobs or files and send it again."
    )


def too_large(limit: int) -> PayloadTooLarge:
    """The refusal for a file above the limit (bytes)."""
    return PayloadTooLarge(
        f"The file is larger than the {limit / (1 << 20):,.1f} MiB allowed here; send a smaller one."
    )


def sweep_temporary(folder: Path) -> None:
    """Remove what an earlier process left half-written; what is still being written is younger. Blocks."""
    oldest = time.time() - _ABANDONED_SECONDS
    for path in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
