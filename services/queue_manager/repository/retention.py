"""The end of jobs' traces: archived bodies, expired records, deleted jobs, participants who left."""

from services.kit.redis_connection import Command
from services.queue_manager import keys
from services.queue_manager.repository.base import Base, check


class Retention(Base):
    """Redis expires the record of an ended job by itself; what points to it goes here."""

    async def delete(self, job_id: str) -> None:
        """Remove an ended job's record and workflow. Raises NotFound, Conflict (not ended)."""
        code = await self._scripts.forget(job_id)
        check(code, job_id, f"Job {job_id} has not ended; cancel it first, then delete it.")

    async def forget_ended(self, limit: int = 100) -> list[tuple[str, str]]:
        """Drop what points to ended jobs whose record has expired; answers (participant, job id), for the files' sake.

        Looks at the `limit` oldest only; to be called regularly.
        """
        oldest = await self._redis.execute("ZRANGE", keys.ENDED, 0, limit - 1)
        entries = [tuple(member.decode().split(":", 1)) for member in oldest]
        commands: list[Command] = [("EXISTS", keys.job(job_id)) for _, job_id in entries]
        there = await self._redis.pipeline(commands)
        gone = [(name, job_id) for (name, job_id), exists in zip(entries, there, strict=True) if exists == 0]
        for name, job_id in gone:
            await self._scripts.forget(job_id, name)
        return gone

    async def unarchived(self, limit: int = 50) -> list[tuple[str, str]]:
        """Some ended jobs whose bodies are still in Redis: (participant, job id)."""
        members = await self._redis.execute("SRANDMEMBER", keys.UNARCHIVED, limit)
        return [(name, job_id) for name, _, job_id in (member.decode().partition(":") for member in members)]

    async def archived(self, participant: str, job_id: str) -> None:
        """The bodies are on disk: drop workflow and `executed` from Redis, unless the job waits again meanwhile."""
        await self._scripts.strip(job_id, participant)

    async def forget_participant(self, name: str, now: int) -> list[str]:
        """Cancel all his jobs: waiting ones at once, running ones by telling the worker. Answers their ids."""
        ids = [job_id.decode() for job_id in await self._redis.execute("ZRANGE", keys.live(name), 0, -1)]
        for job_id in ids:
            await self._scripts.cancel(now, job_id)
        await self._scripts.leave(name)
        return ids
