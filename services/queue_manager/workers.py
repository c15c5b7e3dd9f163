"""The register of workers: who is there, what each has and does, and since when it was not heard of.

That a worker was heard of is noted in memory and written once a second for all of them: a heartbeat must not cost a
write of its own. What a worker can run (catalogue, models, pools) is the catalogue store's and pooling's business.
"""

import msgspec

from services.domain.job import JobState
from services.kit.redis_connection import Argument, Command, RedisConnection
from services.queue_manager import keys
from services.queue_manager.catalogue_store import CatalogueStore
from services.queue_manager.repository import JobRepository
from services.queue_manager.schemas import WorkerProfile, WorkerView

LOST_MS = 45_000
"""A worker polls every 30 s and beats every 10 s; after this silence it counts as lost."""
CREW_MS = 1000
FORGOTTEN_MS = 24 * 3600 * 1000
"""A lost worker disappears from the list after this long."""


class WorkerRecord(msgspec.Struct, frozen=True):
    """What a worker registered, as Redis keeps it."""

    comfyui_version: str
    rehearsal: bool
    gpu: dict[str, object] | None
    draining: bool = False


class Doing(msgspec.Struct, frozen=True):
    """The job that a worker took last, and the models that it had loaded then."""

    job: str
    loaded_model: str


class Workers:
    """The register; one object a process, the truth is in Redis."""

    def __init__(self, redis: RedisConnection, jobs: JobRepository, catalogues: CatalogueStore) -> None:
        self._redis = redis
        self._jobs = jobs
        self._catalogues = catalogues
        self._seen: dict[str, int] = {}
        self._doing: dict[str, Doing] = {}
        self._crew: list[WorkerView] = []
        self._crew_at = 0

    def seen(self, name: str, now: int) -> None:
        """Note that a worker was heard of."""
        self._seen[name] = now

    def took(self, name: str, job_id: str, loaded_model: str) -> None:
        """Note that a worker has taken a job."""
        self._doing[name] = Doing(job_id, loaded_model)

    async def flush(self) -> None:
        """Write down what was noted; called once a second."""
        commands: list[Command] = []
        if self._seen:
            seen, self._seen = self._seen, {}
            flat: list[Argument] = [item for pair in seen.items() for item in pair]
            commands.append(("HSET", keys.WORKERS_SEEN, *flat))
        if self._doing:
            doing, self._doing = self._doing, {}
            flat = [item for name, value in doing.items() for item in (name, msgspec.json.encode(value))]
            commands.append(("HSET", keys.WORKERS_DOING, *flat))
        await self._redis.pipeline(commands)

    async def is_known(self, name: str) -> bool:
        """Whether the worker has registered and its catalogue is there, so that it may lease."""
        if name in self._catalogues.known.profile_of_worker:
            return True
        await self._catalogues.refresh()
        return name in self._catalogues.known.profile_of_worker

    async def register(self, name: str, profile: WorkerProfile, now: int) -> bool:
        """Take a worker in; answers whether its catalogue has to be sent."""
        record = WorkerRecord(profile.comfyui_version, profile.rehearsal, profile.gpu)
        await self._redis.execute("HSET", keys.WORKERS, name, msgspec.json.encode(record))
        await self._redis.execute("HSET", keys.WORKERS_SEEN, name, now)
        self._crew_at = 0
        return await self._catalogues.register(name, profile.catalogue_sha256, profile.models, now)

    async def set_draining(self, name: str, draining: bool, now: int) -> None:
        """Note whether a worker still takes jobs."""
        raw = await self._redis.execute("HGET", keys.WORKERS, name)
        record = msgspec.json.decode(raw, type=WorkerRecord) if raw else WorkerRecord("", False, None)
        record = msgspec.structs.replace(record, draining=draining)
        await self._redis.execute("HSET", keys.WORKERS, name, msgspec.json.encode(record))
        self.seen(name, now)
        self._crew_at = 0

    async def leave(self, name: str) -> None:
        """Strike a worker off the list."""
        self._seen.pop(name, None)
        self._doing.pop(name, None)
        self._crew_at = 0
        for key in (keys.WORKERS, keys.WORKERS_SEEN, keys.WORKERS_DOING):
            await self._redis.execute("HDEL", key, name)

    async def forget_silent(self, now: int) -> None:
        """Strike those off that were silent for a day."""
        for name, at in (await self._last_seen()).items():
            if at < now - FORGOTTEN_MS:
                await self.leave(name)

    async def present(self, now: int) -> int:
        """How many workers are there, lost ones not counted."""
        return sum(1 for at in (await self._last_seen()).values() if at >= now - LOST_MS)

    async def crew(self, now: int) -> list[WorkerView]:
        """The workers that are there and take jobs, as they were at most a second ago: many views ask in a row."""
        if now - self._crew_at > CREW_MS:
            self._crew = [view for view in await self.views(now) if view.state in ("idle", "busy")]
            self._crew_at = now
        return self._crew

    async def counts(self, now: int) -> dict[str, int]:
        """How many workers there are in each state."""
        found: dict[str, int] = {}
        for view in await self.views(now):
            found[view.state] = found.get(view.state, 0) + 1
        return found

    async def views(self, now: int) -> list[WorkerView]:
        """Every worker as the room sees it, by name."""
        records = await self._table(keys.WORKERS)
        seen = await self._last_seen()
        doing = {
            name: msgspec.json.decode(raw, type=Doing) for name, raw in (await self._table(keys.WORKERS_DOING)).items()
        }
        doing.update(self._doing)
        return [
            await self._view(name, msgspec.json.decode(raw, type=WorkerRecord), seen.get(name, 0), doing.get(name), now)
            for name, raw in sorted(records.items())
        ]

    async def _view(self, name: str, record: WorkerRecord, seen: int, doing: Doing | None, now: int) -> WorkerView:
        job = await self._jobs.job(doing.job) if doing else None
        busy = job is not None and job.state is JobState.RUNNING and job.worker == name
        lost = seen < now - LOST_MS
        return WorkerView(
            name=name,
            state="lost" if lost else "busy" if busy else "draining" if record.draining else "idle",
            job=job.id if job is not None and busy else None,
            last_seen=seen,
            comfyui_version=record.comfyui_version,
            rehearsal=record.rehearsal,
            gpu=record.gpu,
            loaded_model=doing.loaded_model if doing else "",
            profile=self._catalogues.known.profile_of_worker.get(name, ""),
        )

    async def _last_seen(self) -> dict[str, int]:
        seen = {name: int(raw) for name, raw in (await self._table(keys.WORKERS_SEEN)).items()}
        return {**seen, **self._seen}

    async def _table(self, key: str) -> dict[str, bytes]:
        flat = await self._redis.execute("HGETALL", key)
        return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
