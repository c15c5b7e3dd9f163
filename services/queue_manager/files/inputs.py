"""Input files: each participant's uploads, kept by content hash, found by name.

The names stand in a Redis hash of their owner, the contents on disk as `inputs/<participant>/<sha256>`. A job refers to
contents, so an upload under the same name changes nothing for the jobs that were submitted before.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec

from services.domain.errors import LimitReached, NotFound
from services.domain.job import InputFile
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.files.disk import keep, receive, sweep_temporary
from services.queue_manager.files.paths import inside
from services.queue_manager.repository import JobRepository

_INCOMING = ".incoming"
_SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_NAMES = 10_000
"""Input files that one owner may have; their names are held in Redis."""
_UNNAMED_SECONDS = 3600
"""A content without a name stays at least this long, because a submit may just be looking at it."""


class InputFiles:
    """All participants' uploads; every method takes the owner's name, taken from a verified credential."""

    def __init__(self, redis: RedisConnection, jobs: JobRepository, folder: Path, max_bytes: int) -> None:
        self._redis = redis
        self._jobs = jobs
        self._folder = folder
        self._max_bytes = max_bytes

    async def put(self, owner: str, name: str, parts: AsyncIterator[bytes], announced: int = 0) -> InputFile:
        """Take a file in under a checked name.

        Raises PayloadTooLarge, StorageFull, LimitReached (too many names); leaves nothing behind then.
        """
        if await self._redis.execute("HLEN", keys.inputs(owner)) >= MAX_NAMES:
            raise LimitReached(f"You have {MAX_NAMES} input files, which is the most; delete some, then upload again.")
        received = await receive(parts, self._folder / _INCOMING, limit=self._max_bytes, announced=announced)
        await asyncio.to_thread(keep, received, self._folder / owner / received.sha256)
        file = InputFile(name=name, sha256=received.sha256, size=received.size)
        entry = msgspec.json.encode([file.sha256, file.size])
        replaced = await self._redis.execute("HGET", keys.inputs(owner), name)
        await self._redis.execute("HSET", keys.inputs(owner), name, entry)
        if replaced is not None and replaced != entry:
            await self._drop_content(owner, _file(name, replaced).sha256)
        return file

    async def resolve(self, owner: str, names: Iterable[str]) -> dict[str, InputFile]:
        """Find those of the names that the owner has uploaded."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        found = await self._redis.execute("HMGET", keys.inputs(owner), *wanted)
        pairs = zip(wanted, found, strict=True)
        return {name: _file(name, entry) for name, entry in pairs if entry is not None}

    async def names(self, owner: str) -> list[InputFile]:
        """List the owner's uploads by name."""
        found = await self._redis.execute("HGETALL", keys.inputs(owner))
        pairs = zip(found[::2], found[1::2], strict=True)
        return sorted((_file(name.decode(), entry) for name, entry in pairs), key=lambda file: file.name)

    async def find(self, owner: str, name: str) -> tuple[InputFile, Path]:
        """Return an upload and where its content lies. Raises NotFound."""
        file = (await self.resolve(owner, [name])).get(name)
        if file is None:
            raise NotFound("You have no input file of that name; GET /api/inputs lists yours.")
        return file, await asyncio.to_thread(inside, self._folder / owner, file.sha256)

    async def content(self, owner: str, sha256: str) -> Path:
        """Return where a content of the owner lies, for the worker that runs a job of his. Raises NotFound."""
        if not _SHA256.fullmatch(sha256):
            raise NotFound("There is no input file with that digest; use one that the lease names.")
        return await asyncio.to_thread(inside, self._folder / owner, sha256)

    async def delete(self, owner: str, name: str) -> None:
        """Forget an upload; its content goes too unless another name or an unfinished job needs it. Raises NotFound."""
        file, _path = await self.find(owner, name)
        await self._redis.execute("HDEL", keys.inputs(owner), name)
        await self._drop_content(owner, file.sha256)

    async def _drop_content(self, owner: str, sha256: str) -> None:
        counts = await self._jobs.participant_counts(owner, time.time_ns() // 1_000_000)
        if counts.waiting or counts.running:
            return  # one of them may name it; the sweep looks again later
        if all(file.sha256 != sha256 for file in await self.names(owner)):
            (self._folder / owner / sha256).unlink(missing_ok=True)

    async def sweep(self) -> None:
        """Remove half-written uploads, and contents without a name of owners who have no unfinished job."""
        await asyncio.to_thread(sweep_temporary, self._folder / _INCOMING)
        for folder in await asyncio.to_thread(_folders, self._folder):
            counts = await self._jobs.participant_counts(folder.name, time.time_ns() // 1_000_000)
            if not counts.waiting and not counts.running:
                named = {file.sha256 for file in await self.names(folder.name)}
                await asyncio.to_thread(_remove_unnamed, folder, named)


def _file(name: str, entry: bytes) -> InputFile:
    sha256, size = msgspec.json.decode(entry, type=tuple[str, int])
    return InputFile(name=name, sha256=sha256, size=size)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and path.name != _INCOMING]


def _remove_unnamed(folder: Path, named: set[str]) -> None:
    oldest = time.time() - _UNNAMED_SECONDS
    for path in folder.iterdir():
        if path.name not in named and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
