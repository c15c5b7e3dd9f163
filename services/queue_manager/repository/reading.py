"""Reading jobs, places and counts. Nothing here changes anything, and nothing costs more in a longer queue."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.domain.errors import InvalidInput
from services.domain.job import Discipline, Job, JobError, JobState, OutputFile, Priority
from services.kit.redis_connection import Command
from services.queue_manager import keys
from services.queue_manager.repository.base import Base
from services.queue_manager.repository.records import ParticipantCounts, Place, QueueOverview, QueueSettings
from services.queue_manager.repository.submitting import decode_spec

DAY_MS = 86_400_000
RANKS = list(Priority)
PAGES = 10
"""So many pages of candidates are looked through for one answer; then the cursor goes back to the caller."""
Record = Mapping[bytes, bytes]


def record_of(reply: list[bytes]) -> Record:
    """The flat reply of HGETALL as a mapping."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


def job_of(job_id: str, record: Record) -> Job:
    """The domain's Job from its hash. Values were validated on their way in, so they are not checked again."""
    spec = decode_spec(record[b"spec"])
    started, ended = record.get(b"started_at"), record.get(b"ended_at")
    error = record.get(b"error")
    outputs = msgspec.json.decode(record.get(b"outputs") or b"[]")
    return Job.model_construct(
        id=job_id,
        number=int(record[b"number"]),
        participant=record[b"participant"].decode(),
        state=JobState(record[b"state"].decode()),
        priority=RANKS[int(record[b"rank"])],
        label=spec.label,
        attempt=int(record[b"attempt"]),
        worker=record.get(b"worker", b"").decode() or None,
        created_at=int(record[b"created_at"]),
        started_at=int(started) if started else None,
        ended_at=int(ended) if ended else None,
        run_next=record.get(b"run_next") == b"1",
        client_id=spec.client_id,
        error=JobError.model_validate_json(error) if error else None,
        outputs=[OutputFile.model_construct(**output) for output in outputs],
        executed=msgspec.json.decode(record.get(b"executed") or b"{}"),
        cached_nodes=msgspec.json.decode(record.get(b"cached_nodes") or b"[]"),
    )


class Reading(Base):
    """Jobs, pages of jobs, places, settings, counts."""

    async def job(self, job_id: str) -> Job | None:
        """The record of a job."""
        reply = await self._redis.execute("HGETALL", keys.job(job_id))
        return job_of(job_id, record_of(reply)) if reply else None

    async def workflow(self, job_id: str) -> bytes | None:
        """The raw `{"workflow", "extra_data"}` of a job, while Redis holds it."""
        raw: bytes | None = await self._redis.execute("GET", keys.workflow(job_id))
        return raw

    async def jobs_of(
        self, participant: str | None, states: Sequence[JobState] = (), limit: int = 50, before: str = ""
    ) -> tuple[list[Job], str | None]:
        """Jobs newest first, of one participant or (None) of all, and the cursor of the next page (None: no more).

        A page may hold fewer than `limit` jobs, even none, while there is a cursor. Raises InvalidInput (cursor).
        """
        if before and not before.isdigit():
            raise InvalidInput("`before` is not a cursor of this list; leave it out to begin with the newest jobs.")
        wanted = set(states or JobState)
        if participant is None and wanted == {JobState.RUNNING}:
            return await self._running(limit), None
        indexes = self._indexes(participant, wanted)
        found: list[Job] = []
        cursor = before
        for _ in range(PAGES):
            page = await self._candidates(indexes, limit, cursor)
            for number, job in page:
                cursor = str(number)
                if job is not None and job.state in wanted:
                    found.append(job)
                    if len(found) == limit:
                        return found, cursor
            if len(page) < limit:
                return found, None
        return found, cursor

    async def _running(self, limit: int) -> list[Job]:
        """What runs in the room: as many jobs as workers, which stand last in a list from new to old."""
        leased = await self._redis.execute("ZRANGE", keys.LEASES, 0, max(limit, 200) - 1)
        ids = [job_id.decode() for job_id in leased]
        records = await self._read([("HGETALL", keys.job(job_id)) for job_id in ids])
        found = [job_of(job_id, record_of(record)) for job_id, record in zip(ids, records, strict=True) if record]
        running = [job for job in found if job.state is JobState.RUNNING]
        return sorted(running, key=lambda job: job.started_at or 0, reverse=True)[:limit]

    @staticmethod
    def _indexes(participant: str | None, wanted: set[JobState]) -> list[str]:
        live = keys.live(participant) if participant else keys.LIVE
        ended = keys.ended(participant) if participant else keys.ENDED
        has_final = any(state.is_final for state in wanted)
        return [live] * any(not state.is_final for state in wanted) + [ended] * has_final

    async def _candidates(self, indexes: list[str], limit: int, before: str) -> list[tuple[int, Job | None]]:
        """The next `limit` entries of the indexes by falling arrival number, with their records."""
        top = f"({before}" if before else "+inf"
        commands: list[Command] = [
            ("ZRANGE", index, top, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit, "WITHSCORES") for index in indexes
        ]
        entries: list[tuple[int, str]] = []
        for reply in await self._read(commands):
            members = [member.decode().rpartition(":")[2] for member in reply[::2]]
            entries += zip([int(float(score)) for score in reply[1::2]], members, strict=True)
        entries = sorted(entries, reverse=True)[:limit]
        records = await self._read([("HGETALL", keys.job(job_id)) for _, job_id in entries])
        return [
            (number, job_of(job_id, record_of(record)) if record else None)
            for (number, job_id), record in zip(entries, records, strict=True)
        ]

    async def place(self, job_id: str, now: int) -> Place | None:
        """Where a waiting job stands; None when it does not wait."""
        answer = await self._scripts.place(now, job_id)
        if answer is None:
            return None
        position, capped, running_cap, first = answer[1:5]
        pool, kind, model = (answer[index].decode() for index in (0, 5, 6))
        lists = (keys.runs(pool, ""), keys.runs(pool, kind), keys.cold_runs(pool, kind))
        ahead, warm, cold = await self._read([("LRANGE", key, 0, 19) for key in lists])
        mean = statistics.fmean(map(int, ahead)) if ahead else None
        return Place(
            position=position,
            pool=pool,
            at_running_cap=bool(capped),
            run_next=bool(first),
            running_cap=running_cap,
            model=model,
            mean_ms=None if mean is None else round(mean),
            own_ms=round(statistics.median(map(int, warm))) if warm else None,
            cold_ms=round(statistics.median(map(int, cold))) if cold else None,
        )

    async def settings(self) -> QueueSettings:
        """What the instructor has set."""
        names = ("discipline", "paused", "draining", "waiting_cap", "running_cap")
        values = await self._redis.execute("HMGET", keys.QUEUE, *names)
        return self._settings(values)

    def _settings(self, values: list[bytes | None]) -> QueueSettings:
        discipline, paused, draining, waiting, running = values
        limits = self._scripts.limits
        return QueueSettings(
            discipline=Discipline(discipline.decode()) if discipline else Discipline.ROUND_ROBIN,
            paused=paused == b"1",
            draining=draining == b"1",
            waiting_cap=int(waiting) if waiting else limits.waiting_cap,
            running_cap=int(running) if running else limits.running_cap,
        )

    async def counts(self) -> tuple[int, int]:
        """Waiting and running jobs of the whole room."""
        live, running = await self._read([("ZCARD", keys.LIVE), ("ZCARD", keys.LEASES)])
        return live - running, running

    async def overview(self, now: int) -> QueueOverview:
        """The room at a glance, with everybody who ever sent a job; costs a read for each of them."""
        settings = await self.settings()
        waiting, running = await self.counts()
        names = sorted(name.decode() for name in await self._redis.execute("SMEMBERS", keys.PEOPLE))
        people = await self._people(names, settings, now)
        return QueueOverview(settings, waiting, running, tuple(people))

    async def participant_counts(self, name: str, now: int) -> ParticipantCounts:
        """One participant's counts and caps."""
        return (await self._people([name], await self.settings(), now))[0]

    async def _people(self, names: Sequence[str], settings: QueueSettings, now: int) -> list[ParticipantCounts]:
        fields = ("waiting", "running", "waiting_cap", "running_cap", "ended_day", "ended_count")
        replies = await self._read([("HMGET", keys.person(name), *fields) for name in names])
        people = []
        for name, (waiting, running, waiting_cap, running_cap, day, ended) in zip(names, replies, strict=True):
            today = day is not None and int(day) == now // DAY_MS
            people.append(
                ParticipantCounts(
                    name=name,
                    waiting=int(waiting or 0),
                    running=int(running or 0),
                    ended_today=int(ended or 0) if today else 0,
                    waiting_cap=int(waiting_cap or settings.waiting_cap),
                    running_cap=int(running_cap or settings.running_cap),
                )
            )
        return people

    async def _read(self, commands: Sequence[Command]) -> list[Any]:
        """Answers of several commands in one round trip; raises the first error."""
        replies = await self._redis.pipeline(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies
