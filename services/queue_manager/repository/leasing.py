"""Leases: giving jobs to workers, and everything that only the holder of a lease token may do."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.domain.errors import LeaseLost
from services.domain.job import MAX_ATTEMPTS, InputFile, JobError, JobState, Lease, OutputFile
from services.queue_manager import keys
from services.queue_manager.repository.base import Base, encode
from services.queue_manager.repository.records import Extended
from services.queue_manager.repository.submitting import decode_spec

LEASE_EXPIRED = JobError(
    type="lease_expired",
    message=f"The job was started {MAX_ATTEMPTS} times and its worker stopped answering each time. Requeue it by hand "
    "when you think that the job itself is not the reason.",
)


def _lost(job_id: str) -> LeaseLost:
    return LeaseLost(f"The lease token of job {job_id} is no longer valid: stop working on it and lease another job.")


class Leasing(Base):
    """Lease, heartbeat, and the ways a lease ends."""

    async def lease(
        self, worker: str, pools: Sequence[str], loaded_model: str, token: str, now: int, lease_ms: int
    ) -> tuple[Lease, bytes] | None:
        """Give the next job of these pools to the worker, with its workflow; None when there is none for it."""
        answer = await self._scripts.lease(now, worker, loaded_model, token, lease_ms, pools)
        if answer is None:
            return None
        job_id, participant, number, attempt, raw_spec = answer
        workflow: bytes | None = await self._redis.execute("GET", keys.workflow(job_id.decode()))
        spec = decode_spec(raw_spec)
        lease = Lease.model_construct(
            job_id=job_id.decode(),
            token=token,
            participant=participant.decode(),
            attempt=int(attempt),
            number=int(number),
            expires_at=now + lease_ms,
            lease_seconds=lease_ms / 1000,
            inputs=[InputFile(name=file.name, sha256=file.sha256, size=file.size) for file in spec.inputs],
            partial_execution_targets=spec.targets,
        )
        return lease, workflow or b""

    async def extend_lease(self, job_id: str, token: str, now: int, lease_ms: int) -> Extended:
        """Keep a job leased for `lease_ms` from now. Raises LeaseLost."""
        answer = await self._scripts.extend_lease(now, job_id, token, lease_ms)
        if isinstance(answer, int):
            raise _lost(job_id)
        return Extended(int(answer[0]), answer[1].decode() or None)

    async def holds_lease(self, job_id: str, token: str) -> str:
        """The owner of the job that this token leases. Raises LeaseLost."""
        state, current, owner = await self._redis.execute("HMGET", keys.job(job_id), "state", "token", "participant")
        if state != b"running" or current != token.encode():
            raise _lost(job_id)
        name: str = owner.decode()
        return name

    async def complete(
        self,
        job_id: str,
        token: str,
        now: int,
        *,
        outputs: Sequence[OutputFile] = (),
        executed: Mapping[str, Any] | None = None,
        cached_nodes: Sequence[str] = (),
        run_ms: int = 0,
    ) -> JobState:
        """Record success and the files. Raises LeaseLost; a repeat with the same token answers the recorded state."""
        files = encode([file.model_dump() for file in outputs])
        answer = await self._scripts.complete(
            now, job_id, token, run_ms, files, encode(executed or {}), encode(list(cached_nodes))
        )
        return self._state(answer, job_id)

    async def fail(self, job_id: str, token: str, now: int, error: JobError, retryable: bool) -> JobState:
        """Record a failure; a retryable one sends the job back to the front of its line, or to `dead`."""
        outcome = "retry" if retryable else "failed"
        return await self._release(job_id, token, now, outcome, error, error.type)

    async def cancelled(self, job_id: str, token: str, now: int) -> JobState:
        """The worker stopped the job as it was told to: cancelled, or queued again after a preemption."""
        return await self._release(job_id, token, now, "stopped", None, "preempted")

    async def give_back(self, job_id: str, token: str, now: int, reason: str) -> JobState:
        """The worker returns the job untouched; the attempt does not count."""
        return await self._release(job_id, token, now, "returned", None, reason)

    async def reap(self, now: int, limit: int = 100) -> list[str]:
        """Take back expired leases: front of the owner's line, dead after MAX_ATTEMPTS. Answers the job ids."""
        error = LEASE_EXPIRED.model_dump_json().encode()
        return [job_id.decode() for job_id in await self._scripts.reap(now, limit, error)]

    async def _release(
        self, job_id: str, token: str, now: int, outcome: str, error: JobError | None, reason: str
    ) -> JobState:
        raw = error.model_dump_json().encode() if error else b""
        return self._state(await self._scripts.release(now, job_id, token, outcome, raw, reason), job_id)

    @staticmethod
    def _state(answer: list[Any], job_id: str) -> JobState:
        code, state = answer
        if code == -1:
            raise _lost(job_id)
        return JobState(state.decode())
