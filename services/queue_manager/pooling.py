"""Pools: which sets of worker profiles jobs wait for, and which pools a worker takes its jobs from.

A pool's id stands for two sets: the profiles that can run its jobs, and the profiles that were known when that was
found out. When a profile appears that a pool's jobs were not compared with, `repool` compares them, page by page in the
background; nothing is lost when a process dies in the middle, because the pool still says what it was compared with.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from services.domain.catalogue import FitIndex
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.catalogue_store import CatalogueStore, Known
from services.queue_manager.repository import ANY_POOL, JobRepository

log = get_logger(__name__)

_PAGE = 200


class Pool(msgspec.Struct, frozen=True):
    """A pool: profile ids that fit its jobs, and all profile ids that were looked at. Both sorted."""

    fits: list[str]
    compared: list[str]

    @property
    def id(self) -> str:
        """16 hexadecimal digits, the same in every process."""
        return sha256(msgspec.json.encode(self)).hexdigest()[:16]


class _Body(msgspec.Struct):
    workflow: msgspec.Raw


class Pools:
    """The pools of the room, as this process knows them."""

    def __init__(self, redis: RedisConnection, jobs: JobRepository, catalogues: CatalogueStore) -> None:
        self._redis = redis
        self._jobs = jobs
        self._catalogues = catalogues
        self._pools: dict[str, Pool] = {}
        self._settled: dict[str, int] = {}
        self._of_profile: dict[str, tuple[str, ...]] = {}
        self._named: dict[tuple[FitIndex, int], str] = {}

    def of_worker(self, worker: str) -> Sequence[str]:
        """List the pools that a worker leases from; empty while nothing is known of what it offers."""
        profile = self._catalogues.known.profile_of_worker.get(worker)
        if profile is None:
            return ()
        if profile not in self._of_profile:
            fitting = sorted(id_ for id_, pool in self._pools.items() if profile in pool.fits)
            self._of_profile[profile] = (*fitting, ANY_POOL)
        return self._of_profile[profile]

    def knows(self, id_: str) -> bool:
        """Say whether this process has heard of a pool."""
        return id_ in self._pools or id_ == ANY_POOL

    async def pool_of(self, index: FitIndex, fits: int) -> str:
        """Return the pool of jobs that exactly these profiles (a bit set) of an index can run; makes a new one."""
        named = self._named.get((index, fits))
        if named is not None:
            return named
        pool = Pool(sorted(index.profiles_of(fits)), sorted(index.profile_ids))
        id_ = pool.id
        if id_ not in self._pools:
            await self._redis.execute("HSET", keys.FIT_POOLS, id_, msgspec.json.encode(pool))
            self._remember({**self._pools, id_: pool})
        self._named[index, fits] = id_
        return id_

    async def refresh(self) -> None:
        """Learn the pools that other processes made."""
        found = await self._redis.execute("HGETALL", keys.FIT_POOLS)
        pairs = zip(found[::2], found[1::2], strict=True)
        pools = {id_.decode(): msgspec.json.decode(pool, type=Pool) for id_, pool in pairs}
        if pools.keys() != self._pools.keys():
            self._remember(pools)

    async def repool(self, now: int) -> int:
        """Compare waiting jobs with the profiles they were not compared with yet; answers how many moved."""
        known = self._catalogues.known
        if known.scanner is None:
            return 0
        moved = 0
        waiting = await self._jobs.pools()
        for id_ in waiting:
            compared = set(self._pools[id_].compared) if id_ in self._pools else set()
            if compared.issuperset(known.profiles) or self._settled.get(id_) == known.version:
                continue
            moved += await self._repool(id_, known, now)
            self._settled[id_] = known.version
        await self._forget_all_but(waiting)
        return moved

    async def _repool(self, id_: str, known: Known, now: int) -> int:
        moved, cursor = 0, ""
        while True:
            page, following = await self._jobs.waiting_in_pool(id_, _PAGE, cursor)
            for job_id in page:
                pool = await self._fitting_pool(job_id, known)
                if pool is not None and pool != id_:
                    moved += await self._jobs.move_to_pool(job_id, pool, now)
            if following is None:
                return moved
            cursor = following
            await asyncio.sleep(0)

    async def _fitting_pool(self, job_id: str, known: Known) -> str | None:
        """Find the pool of one waiting job; None when it is gone, or nobody known can run it (it stays put then)."""
        body = await self._jobs.workflow(job_id)
        if body is None or known.scanner is None or known.index is None:
            return None
        scan = known.scanner.scan(bytes(msgspec.json.decode(body, type=_Body).workflow))
        if not scan.fits:
            return None
        return await self.pool_of(known.index, scan.fits)

    async def _forget_all_but(self, waiting: Sequence[str]) -> None:
        """Drop pools without jobs that were compared with an earlier set of profiles."""
        current = sorted(self._catalogues.known.profiles)
        stale = [id_ for id_, pool in self._pools.items() if pool.compared != current and id_ not in waiting]
        if stale:
            await self._redis.execute("HDEL", keys.FIT_POOLS, *stale)
            self._remember({id_: pool for id_, pool in self._pools.items() if id_ not in stale})
            self._settled = {id_: version for id_, version in self._settled.items() if id_ not in stale}

    def _remember(self, pools: dict[str, Pool]) -> None:
        self._pools = pools
        self._of_profile = {}
        self._named = {}
