"""Handing jobs to workers: a claim in the worker's pools, the form of the answer, and the way back when nobody takes
it.
"""

import secrets

from services.domain.errors import LeaseLost
from services.domain.job import Lease
from services.kit.clock import now_ms
from services.queue_manager.bell import Claimed
from services.queue_manager.pooling import Pools
from services.queue_manager.repository import JobRepository

LEASE_MEDIA_TYPE = "application/x-comfyume-lease"


class Leasing:
    """Claims for the workers of this process."""

    def __init__(self, jobs: JobRepository, pools: Pools, lease_seconds: float) -> None:
        self._jobs = jobs
        self._pools = pools
        self._lease_ms = int(lease_seconds * 1000)

    async def claim(self, worker: str, loaded_model: str) -> Claimed | None:
        """Lease the next job that this worker is able to run, or None."""
        token = secrets.token_urlsafe(18)
        pools = self._pools.of_worker(worker)
        return await self._jobs.lease(worker, pools, loaded_model, token, now_ms(), self._lease_ms)

    async def give_back(self, claimed: Claimed) -> None:
        """Return a job that was leased for a worker that had hung up meanwhile."""
        lease, _workflow = claimed
        try:
            await self._jobs.give_back(lease.job_id, lease.token, now_ms(), "the worker had hung up")
        except LeaseLost:
            return  # cancelled or taken back in the same moment


def encode_lease(lease: Lease, workflow: bytes) -> bytes:
    """The body of a lease's answer: length of the header (4 bytes, big-endian), the Lease as JSON, the workflow as it
    came.
    """
    header = lease.model_dump_json().encode()
    return b"".join((len(header).to_bytes(4, "big"), header, workflow))
