"""Bodies and numbers of the participant's jobs, remembered within bounds so that a page load does not ask again.

The page asks for up to 64 ended jobs with their whole workflows at a time; a body never changes once submitted.
"""

from collections import OrderedDict
from typing import Any

import msgspec

from services.frontend.queue_client import QueueClient
from services.frontend.stock_history import ENDED_STATES, OPEN_STATES, Job
from services.frontend.stock_jobs import workflow_id_of

BODIES_BYTES = 8 * 2**20
NUMBERS = 10_000
EXECUTED = 1_000


class JobIndex:
    """Looks up a job's body by id and its id by number."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._ids: OrderedDict[int, str] = OrderedDict()
        self._workflow_ids: OrderedDict[str, str | None] = OrderedDict()
        self._executed: OrderedDict[str, bytes] = OrderedDict()

    def note(self, jobs: list[Job]) -> None:
        """Remember which number belongs to which job."""
        for job in jobs:
            self._ids[job["number"]] = job["id"]
        while len(self._ids) > NUMBERS:
            self._ids.popitem(last=False)

    async def body(self, job_id: str) -> dict[str, Any]:
        """The submitted `{"workflow", "extra_data"}`; empty when it is gone."""
        kept = self._bodies.get(job_id)
        if kept is not None:
            self._bodies.move_to_end(job_id)
            body: dict[str, Any] = msgspec.json.decode(kept)
            return body
        body = await self._queue.workflow(job_id)
        self._keep(job_id, msgspec.json.encode(body))
        return body

    async def whole(self, job: Job) -> Job:
        """A listed job with ComfyUI's output lists, which the queue's own list leaves out for ended jobs."""
        if not job.get("outputs") or job.get("executed"):
            return job
        if job["id"] not in self._executed:
            found = await self._queue.job(job["id"]) or job
            self._executed[job["id"]] = msgspec.json.encode(found.get("executed") or {})
            while len(self._executed) > EXECUTED:
                self._executed.popitem(last=False)
        return {**job, "executed": msgspec.json.decode(self._executed[job["id"]])}

    async def workflow_id(self, job_id: str) -> str | None:
        """The page's own id of the job's workflow."""
        if job_id not in self._workflow_ids:
            self._workflow_ids[job_id] = workflow_id_of(await self.body(job_id))
            while len(self._workflow_ids) > NUMBERS:
                self._workflow_ids.popitem(last=False)
        return self._workflow_ids[job_id]

    async def id_of(self, number: int) -> str | None:
        """The id of the participant's job of that number; None where there is none (any more)."""
        if number not in self._ids:
            self.note(await self._queue.jobs(f"{OPEN_STATES},{ENDED_STATES}", limit=1000))
        return self._ids.get(number)

    def _keep(self, job_id: str, encoded: bytes) -> None:
        self._bodies[job_id] = encoded
        self._bytes += len(encoded)
        while self._bytes > BODIES_BYTES and len(self._bodies) > 1:
            _, dropped = self._bodies.popitem(last=False)
            self._bytes -= len(dropped)
