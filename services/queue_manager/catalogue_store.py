"""Keeps what the workers publish: node catalogues on disk, who published which in Redis, all of them compiled here.

A profile is one kind of worker: a catalogue and a list of models. Profiles stay known when their worker leaves, so that
jobs can be submitted while no worker runs; a worker that comes back with other nodes replaces its old profile. Which
jobs go to which profile is pooling's business.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from services.domain.catalogue import FitIndex, Profile, merged, merged_models, without_worker_files
from services.domain.errors import InvalidInput
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.files.disk import write_file
from services.queue_manager.graph_scan import GraphScanner

log = get_logger(__name__)

ABSENT_MS = 24 * 3600 * 1000
"""A worker's profile is forgotten this long after it was last heard of, if other workers registered since."""

MAX_CATALOGUE_BYTES = 64 << 20
"""Largest `/object_info` taken in; a stock ComfyUI 0.33.0 has 1.6 MB."""

_SETTLED_SECONDS = 3600


class WorkerEntry(msgspec.Struct, frozen=True):
    """What one worker published; `normal` is the digest of its catalogue without the worker's own input files."""

    catalogue: str
    normal: str
    models: dict[str, list[str]]
    seen: int

    @property
    def profile(self) -> str:
        """The word for "same nodes, same models" (16 hexadecimal digits)."""
        return sha256(msgspec.json.encode([self.normal, self.models], order="sorted")).hexdigest()[:16]


@dataclass(frozen=True)
class Known:
    """All profiles, compiled. `index` and `scanner` are None while no catalogue was ever published."""

    version: int = -1
    profile_of_worker: Mapping[str, str] = field(default_factory=dict)
    index: FitIndex | None = None
    scanner: GraphScanner | None = None
    object_info: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes = b"{}"
    etag: str = '"empty"'

    @property
    def profiles(self) -> Sequence[str]:
        """The ids of all known profiles."""
        return self.index.profile_ids if self.index else ()


class CatalogueStore:
    """The workers' catalogues. `known` is this process's picture; `refresh` brings it up to date."""

    def __init__(self, redis: RedisConnection, folder: Path) -> None:
        self._redis = redis
        self._folder = folder
        self._lock = asyncio.Lock()
        self.known = Known()

    async def register(self, worker: str, catalogue_sha256: str, models: Mapping[str, Sequence[str]], now: int) -> bool:
        """Note what a worker offers; answers whether its catalogue has to be sent (`store`) first."""
        listed = {folder: sorted(files) for folder, files in models.items()}
        entries = await self._entries()
        normal = next((entry.normal for entry in entries.values() if entry.catalogue == catalogue_sha256), "")
        if not normal or not self._path(normal).is_file():
            waiting = WorkerEntry(catalogue_sha256, "", listed, now)
            await self._redis.execute("HSET", keys.CATALOGUE_AWAITED, worker, msgspec.json.encode(waiting))
            await self._redis.execute("EXPIRE", keys.CATALOGUE_AWAITED, 3600)
            return True
        await self._put(entries, worker, WorkerEntry(catalogue_sha256, normal, listed, now))
        return False

    async def store(self, worker: str, body: bytes, now: int) -> None:
        """Take in the catalogue (`/object_info`) that `register` asked for.

        Raises InvalidInput when it is no catalogue, or not the one whose digest the worker registered.
        """
        waiting = await self._redis.execute("HGET", keys.CATALOGUE_AWAITED, worker)
        if waiting is None:
            raise InvalidInput("The queue has not asked for a catalogue; register the worker first.")
        entry = msgspec.json.decode(waiting, type=WorkerEntry)
        if sha256(body).hexdigest() != entry.catalogue:
            raise InvalidInput("The catalogue's SHA-256 is not the registered catalogue_sha256; register again.")
        normal_body = await asyncio.to_thread(_normal_form, body)
        normal = sha256(normal_body).hexdigest()
        await asyncio.to_thread(write_file, self._path(normal), normal_body)
        entry = msgspec.structs.replace(entry, normal=normal, seen=now)
        await self._put(await self._entries(), worker, entry)
        await self._redis.execute("HDEL", keys.CATALOGUE_AWAITED, worker)

    async def refresh(self) -> bool:
        """Look whether another process took in a catalogue; answers whether `known` is a new one."""
        version = int(await self._redis.execute("GET", keys.CATALOGUE_VERSION) or 0)
        if version == self.known.version:
            return False
        async with self._lock:
            if version == self.known.version:
                return False
            entries = await self._entries()
            self.known = await asyncio.to_thread(self._compile, version, entries)
        log.info("catalogues compiled", profiles=len(self.known.profiles), classes=len(self.known.object_info))
        return True

    async def _entries(self) -> dict[str, WorkerEntry]:
        found = await self._redis.execute("HGETALL", keys.CATALOGUE_WORKERS)
        pairs = zip(found[::2], found[1::2], strict=True)
        return {name.decode(): msgspec.json.decode(entry, type=WorkerEntry) for name, entry in pairs}

    async def _put(self, before: Mapping[str, WorkerEntry], worker: str, entry: WorkerEntry) -> None:
        """Record a worker's entry, forget those long absent, and let every process know when something changed."""
        last_seen = await self._last_seen(before)
        old = [name for name, at in last_seen.items() if at < entry.seen - ABSENT_MS and name != worker]
        await self._redis.execute("HSET", keys.CATALOGUE_WORKERS, worker, msgspec.json.encode(entry))
        if old:
            await self._redis.execute("HDEL", keys.CATALOGUE_WORKERS, *old)
        if old or worker not in before or before[worker].profile != entry.profile:
            await self._redis.execute("INCR", keys.CATALOGUE_VERSION)
        await self.refresh()
        kept = {other.normal for name, other in before.items() if name not in old} | {entry.normal}
        await asyncio.to_thread(self._remove_all_but, kept)

    async def _last_seen(self, entries: Mapping[str, WorkerEntry]) -> dict[str, int]:
        """When each worker registered or, if it is in the workers' register, was last heard of."""
        if not entries:
            return {}
        heard = await self._redis.execute("HMGET", keys.WORKERS_SEEN, *entries)
        pairs = zip(entries.items(), heard, strict=True)
        return {name: max(entry.seen, int(at or 0)) for (name, entry), at in pairs}

    def _remove_all_but(self, kept: Set[str]) -> None:
        """Remove catalogues that nobody offers any more; not those that another process may just be taking in."""
        for path in self._folder.glob("*.json"):
            if path.stem not in kept and path.stat().st_mtime < time.time() - _SETTLED_SECONDS:
                path.unlink(missing_ok=True)

    def _path(self, normal: str) -> Path:
        return self._folder / f"{normal}.json"

    def _compile(self, version: int, entries: Mapping[str, WorkerEntry]) -> Known:
        latest_first = sorted(entries.values(), key=lambda entry: entry.seen, reverse=True)
        profiles = list(self._read(latest_first))
        offered = {name: entry.profile for name, entry in entries.items()}
        if not profiles:
            return Known(version=version)
        index = FitIndex(profiles)
        object_info = merged(profiles)
        body = msgspec.json.encode(object_info)
        return Known(
            version=version,
            profile_of_worker={name: id_ for name, id_ in offered.items() if id_ in index.profile_ids},
            index=index,
            scanner=GraphScanner(index),
            object_info=object_info,
            models=merged_models(profiles),
            body=body,
            etag=f'"{sha256(body).hexdigest()[:32]}"',
        )

    def _read(self, entries: Iterable[WorkerEntry]) -> Iterable[Profile]:
        """Read each profile once; a catalogue whose file is gone counts as not published."""
        seen: set[str] = set()
        for entry in entries:
            if entry.profile in seen:
                continue
            seen.add(entry.profile)
            try:
                object_info = msgspec.json.decode(self._path(entry.normal).read_bytes())
            except (OSError, msgspec.DecodeError) as error:
                log.warning("a kept catalogue cannot be read", error=type(error).__name__)
                continue
            yield Profile(entry.profile, object_info, entry.models)


def _normal_form(body: bytes) -> bytes:
    """Spell a catalogue without what differs between equal workers: the files in their input folders."""
    try:
        object_info = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("The catalogue is not valid JSON; send the answer of ComfyUI's /object_info.") from None
    if not isinstance(object_info, dict) or not all(isinstance(info, dict) for info in object_info.values()):
        raise InvalidInput("The catalogue has to be an object of node classes; send the answer of /object_info.")
    normal = {class_type: without_worker_files(class_type, info) for class_type, info in object_info.items()}
    return msgspec.json.encode(normal)
