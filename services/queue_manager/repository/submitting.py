"""Taking jobs in."""

import secrets
from collections.abc import Sequence
from itertools import count

import msgspec

from services.domain.errors import Conflict, InvalidInput, LimitReached, Unavailable
from services.domain.job import JobState
from services.kit.redis_connection import AWAY, Argument, Command
from services.queue_manager import keys
from services.queue_manager.repository.base import Base, encode
from services.queue_manager.repository.records import Enqueued, NewJob


def _spec(job: NewJob) -> bytes:
    """The part of a job that Redis keeps without looking into it."""
    return encode(
        {
            "label": job.label,
            "client_id": job.client_id,
            "inputs": [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in job.inputs],
            "targets": job.partial_execution_targets,
        }
    )


_PROCESS = secrets.token_hex(8)
_arrivals = count()


def arrival_of(workflow: bytes) -> tuple[str, Command]:
    """A nonce of its own and the command that brings a workflow into Redis; unclaimed it expires by itself."""
    nonce = f"{_PROCESS}{next(_arrivals)}"
    return nonce, ("SET", keys.arrived(nonce), workflow, "PX", keys.ARRIVED_MS)


class Submitting(Base):
    """Enqueue, one or many. The workflow is SET beside the script, not passed through Lua (50 us at 40 KB)."""

    async def enqueue(self, job: NewJob, now: int) -> Enqueued:
        """Take one job in. Raises LimitReached (waiting cap), Conflict (id of somebody else), StorageFull."""
        return (await self.enqueue_batch([job], now))[0]

    async def enqueue_batch(self, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
        """Take several jobs of one participant in, all or none; answers and raises like `enqueue`."""
        _check_batch(jobs)
        arrivals: list[Command] = []
        values: list[Argument] = []
        for job in jobs:
            nonce, command = arrival_of(job.workflow)
            arrivals.append(command)
            values += [job.id, nonce, job.pool, job.kind, job.model, job.priority.rank, int(job.front), _spec(job)]
            values.append(job.idempotency_key)
        answer = await self._scripts.enqueue(now, arrivals, jobs[0].participant, keys.SUBMIT_MS, values)
        if isinstance(answer[0], int):
            raise _refusal(answer, len(jobs))
        return [Enqueued(a[0].decode(), int(a[1]), JobState(a[2].decode()), bool(a[3])) for a in answer]


def _check_batch(jobs: Sequence[NewJob]) -> None:
    if len(jobs) == 1:
        return
    if not jobs:
        raise InvalidInput("`jobs` is empty; send at least one job.")
    if len({job.participant for job in jobs}) > 1:
        raise InvalidInput("The jobs of a batch must belong to one participant; send a batch for each.")
    if len({job.id for job in jobs}) < len(jobs):
        raise InvalidInput("Two jobs of the batch have the same `id`; give each its own, or none.")
    submit_keys = [job.idempotency_key for job in jobs if job.idempotency_key]
    if len(set(submit_keys)) < len(submit_keys):
        raise InvalidInput("Two jobs of the batch have the same idempotency key; give each its own, or none.")


def _refusal(answer: list[int | bytes], wanted: int) -> Exception:
    if answer[0] == -1:
        cap, waiting = int(answer[1]), int(answer[2])
        return LimitReached(
            f"{waiting} of your jobs are waiting and {cap} may wait at a time, so {wanted} more cannot be taken in; "
            "wait until some have run, or cancel some."
        )
    if answer[0] == -2:
        return Conflict("The `id` is taken by another job; leave `id` out, or send a new random UUID.")
    return Unavailable(AWAY)  # the workflow had expired before the script ran: Redis was away in between


def decode_spec(raw: bytes) -> "Spec":
    """The inverse of what `enqueue` stored."""
    return _SPEC.decode(raw)


class SpecFile(msgspec.Struct, frozen=True):
    """One input of a stored job."""

    name: str
    sha256: str
    size: int


class Spec(msgspec.Struct, frozen=True):
    """The part of a job that the scripts do not look into."""

    label: str
    client_id: str
    inputs: list[SpecFile]
    targets: list[str]


_SPEC = msgspec.json.Decoder(Spec)
