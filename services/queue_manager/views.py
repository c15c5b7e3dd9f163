"""Jobs as their owners read them: the record, with place and reason while it waits, with the archived parts when it
ended.

Puts together what the repository, the estimates and the archive know; decides nothing itself.
"""

from services.domain.errors import NotFound
from services.domain.job import Job, JobState
from services.queue_manager.repository import JobRepository
from services.queue_manager.schemas import JobView
from services.queue_manager.workers import Workers


class JobViews:
    """Reads jobs for the routes."""

    def __init__(self, jobs: JobRepository, workers: Workers) -> None:
        self._jobs = jobs
        self._workers = workers

    async def brief(self, job: Job, now: int) -> JobView:
        """A job in a list."""
        return await self.full(job, now)

    async def full(self, job: Job, now: int) -> JobView:
        """A job by itself."""
        view = JobView.model_construct(**dict(job))
        if job.state is JobState.QUEUED:
            place = await self._jobs.place(job.id, now)
            if place is not None:
                return view.model_copy(update={"position": place.position})
        return view

    async def workflow(self, job: Job) -> bytes:
        """The raw workflow, from Redis or from the archive; raises NotFound when it is kept no more."""
        body = await self._jobs.workflow(job.id)
        if body is None:
            raise NotFound(f"The workflow of job {job.id} is kept no more; submit it again to have it.")
        return body

    async def requeue(self, job: Job, now: int) -> None:
        """Queue an ended job again, with its workflow from the archive where Redis has it no more."""
        await self._jobs.requeue(job.id, now)

    async def forget_files(self, job: Job) -> None:
        """Remove what a deleted job left on disk."""
