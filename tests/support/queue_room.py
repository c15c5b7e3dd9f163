"""A room of participants for tests of the queue: short ways to say "ada sends three jobs" and "a worker takes one"."""

import itertools
import uuid
from typing import Any

from services.domain.job import JobState
from services.queue_manager.repository import JobRepository, NewJob

LEASE_MS = 30_000


class Room:
    """Wraps a repository; time stands still until `now` is moved."""

    def __init__(self, jobs: JobRepository) -> None:
        self.jobs = jobs
        self.now = 1_000_000
        self.names: dict[str, str] = {}
        """job id -> what the test calls it: owner and number, for example "A1"."""
        self.owners: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._count = itertools.count()

    def new_job(self, owner: str, **fields: Any) -> NewJob:
        """A job with sensible defaults."""
        values = {"id": str(uuid.uuid4()), "workflow": b'{"workflow":{},"extra_data":{}}', **fields}
        return NewJob(participant=owner, **values)

    async def send(self, owner: str, count: int = 1, **fields: Any) -> list[str]:
        """Enqueue jobs one after the other; answers their ids."""
        ids = []
        for _ in range(count):
            answer = await self.jobs.enqueue(self.new_job(owner, **fields), self.now)
            self.names[answer.id] = f"{owner.upper()}{answer.number}"
            self.owners[answer.id] = owner
            ids.append(answer.id)
        return ids

    async def take(self, pools: tuple[str, ...] = ("any",), loaded: str = "", worker: str = "w1") -> str | None:
        """Lease the next job; answers its id."""
        token = f"token-{next(self._count)}"
        got = await self.jobs.lease(worker, pools, loaded, token, self.now, LEASE_MS)
        if got is None:
            return None
        self._tokens[got[0].job_id] = token
        return got[0].job_id

    def token(self, job_id: str) -> str:
        """The token of the last lease of this job."""
        return self._tokens[job_id]

    async def finish(self, job_id: str, **report: Any) -> JobState:
        """Complete a leased job."""
        return await self.jobs.complete(job_id, self.token(job_id), self.now, **report)

    async def run_all(self, limit: int = 1000, **take: Any) -> list[str]:
        """One worker runs jobs until none is left; answers their names in order."""
        order = []
        for _ in range(limit):
            job_id = await self.take(**take)
            if job_id is None:
                break
            order.append(self.names[job_id])
            await self.finish(job_id)
        return order
