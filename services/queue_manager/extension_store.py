"""Keeps the page files (scripts, styles) of the workers' node packs; they are there also when no worker runs.

A file is kept under the digest of its content, so that no name from outside is ever a path on this disk. Which worker
published which names is in Redis; of a pack that several workers have, the copy that was published last counts, whole.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from services.domain.errors import InvalidInput, NotFound
from services.domain.extension_files import MAX_FILES, is_extension_name
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.files.disk import write_file
from services.queue_manager.files.paths import inside

_SETTLED_SECONDS = 3600


class PublishedFiles(msgspec.Struct, frozen=True):
    """What one worker published: the bundle's digest, when (unix ms), and name -> SHA-256 of each file."""

    bundle: str
    published: int
    files: dict[str, str]


class ExtensionStore:
    """The workers' page files. The truth is in Redis and on the disk; nothing is cached here."""

    def __init__(self, redis: RedisConnection, folder: Path) -> None:
        self._redis = redis
        self._folder = folder

    async def register(self, worker: str, bundle: str) -> bool:
        """Note what a worker has ("" for no files); answers whether its bundle has to be sent (`store`)."""
        entries = await self._entries()
        await self._forget_absent(entries, worker)
        if not bundle:
            if worker in entries:
                await self._redis.execute("HDEL", keys.EXTENSIONS, worker)
            return False
        entry = entries.get(worker)
        return entry is None or entry.bundle != bundle or not await asyncio.to_thread(self._has_all, entry)

    async def store(self, worker: str, body: bytes, now: int) -> None:
        """Take in a worker's bundle, `{name: base64 of the content}`; it replaces what that worker published before.

        Raises InvalidInput when it is none, or when a name in it cannot be served.
        """
        files = await asyncio.to_thread(_decoded, body)
        digests = await asyncio.to_thread(self._write, files)
        entry = PublishedFiles(sha256(body).hexdigest(), now, digests)
        await self._redis.execute("HSET", keys.EXTENSIONS, worker, msgspec.json.encode(entry))
        kept = {digest for other in (await self._entries()).values() for digest in other.files.values()}
        await asyncio.to_thread(self._remove_all_but, kept)

    async def listing(self) -> dict[str, str]:
        """All files by name with the SHA-256 of their content, sorted."""
        return merged((await self._entries()).values())

    async def find(self, name: str) -> tuple[str, Path]:
        """Return a file's SHA-256 and where it lies; raises NotFound."""
        digest = (await self.listing()).get(name)
        if digest is None:
            raise NotFound("There is no such file of a node pack; GET /api/extensions lists them.")
        return digest, inside(self._folder, digest)

    async def _entries(self) -> dict[str, PublishedFiles]:
        found = await self._redis.execute("HGETALL", keys.EXTENSIONS)
        pairs = zip(found[::2], found[1::2], strict=True)
        return {name.decode(): msgspec.json.decode(entry, type=PublishedFiles) for name, entry in pairs}

    async def _forget_absent(self, entries: Mapping[str, PublishedFiles], present: str) -> None:
        """Forget the files of workers whose catalogue was forgotten, which happens a day after they left."""
        others = [name for name in entries if name != present]
        if not others:
            return
        known = {name.decode() for name in await self._redis.execute("HKEYS", keys.CATALOGUE_WORKERS)}
        if gone := [name for name in others if name not in known]:
            await self._redis.execute("HDEL", keys.EXTENSIONS, *gone)

    def _has_all(self, entry: PublishedFiles) -> bool:
        return all((self._folder / digest).is_file() for digest in entry.files.values())

    def _write(self, files: Mapping[str, bytes]) -> dict[str, str]:
        digests = {name: sha256(content).hexdigest() for name, content in files.items()}
        for name, content in files.items():
            write_file(self._folder / digests[name], content)
        return digests

    def _remove_all_but(self, kept: set[str]) -> None:
        """Remove files that no worker publishes any more; not those that another process may just be taking in."""
        for path in self._folder.iterdir():
            if path.name not in kept and path.stat().st_mtime < time.time() - _SETTLED_SECONDS:
                path.unlink(missing_ok=True)


def merged(entries: Iterable[PublishedFiles]) -> dict[str, str]:
    """Put the workers' files together; a pack is never mixed from two workers, whose versions may differ."""
    found: dict[str, str] = {}
    for entry in sorted(entries, key=lambda entry: (entry.published, entry.bundle), reverse=True):
        known = {_pack(name) for name in found}
        found |= {name: digest for name, digest in entry.files.items() if _pack(name) not in known}
    return dict(sorted(found.items()))


def _pack(name: str) -> str:
    return name.partition("/")[0]


def _decoded(body: bytes) -> dict[str, bytes]:
    try:
        files = msgspec.json.decode(body, type=dict[str, bytes])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("The files are not an object of name and base64 content; send that as JSON.") from None
    if len(files) > MAX_FILES:
        raise InvalidInput(f"The files are more than {MAX_FILES}; publish fewer node packs.")
    for name in files:
        if not is_extension_name(name):
            raise InvalidInput(
                f"The file {name[:80]!r} cannot be served; a name is pack/file with letters, digits and usual signs, "
                "an ending that pages use, and a pack that is not the page's own."
            )
    return files
