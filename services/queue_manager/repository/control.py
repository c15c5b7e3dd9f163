"""What people may do to jobs and to the room: cancel, requeue, put first, switch, pause, cap."""

from services.domain.errors import Conflict, LimitReached
from services.domain.job import Discipline, JobState, Priority
from services.kit.redis_connection import Argument
from services.queue_manager.repository.base import Base, check, no_such_job
from services.queue_manager.repository.submitting import arrival_of


class Control(Base):
    """Effective at once, also for jobs that wait already."""

    async def cancel(self, job_id: str, now: int) -> JobState:
        """Cancel: a waiting job at once; for a running one the worker is told. Raises NotFound."""
        answer = await self._scripts.cancel(now, job_id)
        if isinstance(answer, int):
            raise no_such_job(job_id)
        return JobState(answer.decode())

    async def requeue(self, job_id: str, now: int, workflow: bytes | None = None) -> None:
        """Queue a dead, failed or cancelled job again under its id. `workflow`: where Redis has it no more.

        Raises NotFound, Conflict, LimitReached.
        """
        nonce, command = arrival_of(workflow) if workflow is not None else ("", None)
        code = await self._scripts.requeue(now, [command] if command else [], job_id, nonce)
        check(code, job_id, f"Job {job_id} is not dead, failed or cancelled; only such a job can be requeued.")
        if code == -2:
            raise Conflict(f"The workflow of job {job_id} is no longer kept; submit it again.")
        if code == -3:
            raise LimitReached("The owner's line is full; cancel a waiting job or wait, then requeue.")

    async def run_next(self, job_id: str, now: int) -> None:
        """Let a waiting job overtake all, in every discipline. Raises NotFound, Conflict."""
        code = await self._scripts.run_next(now, job_id)
        check(code, job_id, f"Job {job_id} does not wait; only a waiting job can be put first.")

    async def preempt(self, job_id: str, now: int) -> None:
        """Tell the worker to stop and hand the job back, to the front of its line. Raises NotFound, Conflict."""
        code = await self._scripts.preempt(now, job_id)
        check(code, job_id, f"Job {job_id} does not run; only a running job can be preempted.")

    async def set_priority(self, job_id: str, priority: Priority, now: int) -> None:
        """Change the class of a waiting job. Raises NotFound, Conflict."""
        code = await self._scripts.set_priority(now, job_id, priority.rank, priority.value)
        check(code, job_id, f"Job {job_id} does not wait; only a waiting job can change its class.")

    async def set_discipline(self, discipline: Discipline, now: int) -> None:
        """Switch the rule; effective at once for jobs already waiting."""
        await self._scripts.set_room(now, False, "discipline", discipline.value)

    async def set_paused(self, paused: bool, now: int) -> None:
        """Stop or resume handing out jobs."""
        await self._scripts.set_room(now, False, "paused", int(paused))

    async def set_draining(self, draining: bool, now: int) -> None:
        """Like paused, but says that the room is being emptied."""
        await self._scripts.set_room(now, False, "draining", int(draining))

    async def set_caps(self, participant: str | None, waiting: int | None, running: int | None, now: int) -> None:
        """Set the room's caps (participant None) or one participant's own; a None cap stays as it is."""
        fields: list[Argument] = []
        if waiting is not None:
            fields += ["waiting_cap", waiting]
        if running is not None:
            fields += ["running_cap", running]
        if participant is None:
            await self._scripts.set_room(now, False, *fields)
        elif fields:
            await self._scripts.set_caps(now, participant, *fields)

    async def new_session(self, now: int) -> None:
        """Forget who was served when."""
        await self._scripts.set_room(now, True)
