"""Jobs as their owners read them: the record, with place and reason while it waits, with the archived parts when it
ended.

Puts together what the repository, the estimates and the archive know; decides nothing itself.
"""

from services.domain.errors import NotFound
from services.domain.job import Job, JobState
from services.queue_manager.estimates import eta_seconds
from services.queue_manager.files.archive import Archive
from services.queue_manager.pooling import Pools
from services.queue_manager.repository import JobRepository
from services.queue_manager.scheduler import waiting_because
from services.queue_manager.schemas import JobView, WaitingBecause
from services.queue_manager.workers import Workers


class JobViews:
    """Reads jobs for the routes."""

    def __init__(self, jobs: JobRepository, workers: Workers, pools: Pools, archive: Archive) -> None:
        self._jobs = jobs
        self._workers = workers
        self._pools = pools
        self._archive = archive

    async def brief(self, job: Job, now: int) -> JobView:
        """A job in a list: without ComfyUI's output lists once they are on disk."""
        return await self._placed(JobView.model_construct(**dict(job)), now)

    async def full(self, job: Job, now: int) -> JobView:
        """A job by itself."""
        view = JobView.model_construct(**{**dict(job), "executed": await self._archive.executed(job)})
        return await self._placed(view, now)

    async def _placed(self, view: JobView, now: int) -> JobView:
        if view.state is not JobState.QUEUED:
            return view
        place = await self._jobs.place(view.id, now)
        if place is None:  # it was leased in this moment
            return view
        crew = await self._workers.crew(now)
        fitting = [worker for worker in crew if place.pool in self._pools.of_worker(worker.name)]
        reason = waiting_because(place, await self._jobs.settings(), len(crew), len(fitting))
        loaded = place.model == "" or any(worker.loaded_model == place.model for worker in fitting)
        busy = sum(1 for worker in fitting if worker.state == "busy")
        update = {
            "position": place.position,
            "eta_seconds": eta_seconds(place, len(fitting), busy, loaded),
            "waiting_because": WaitingBecause(code=reason.code, message=reason.message),
        }
        return view.model_copy(update=update)

    async def workflow(self, job: Job) -> bytes:
        """The raw workflow, from Redis or from the archive; raises NotFound when it is kept no more."""
        body = await self._jobs.workflow(job.id) or await self._archive.workflow(job.participant, job.id)
        if body is None:
            raise NotFound(f"The workflow of job {job.id} is kept no more; submit it again to have it.")
        return body

    async def requeue(self, job: Job, now: int) -> None:
        """Queue an ended job again, with its workflow from the archive where Redis has it no more."""
        kept = await self._jobs.workflow(job.id)
        archived = await self._archive.workflow(job.participant, job.id) if kept is None else None
        await self._jobs.requeue(job.id, now, archived)
