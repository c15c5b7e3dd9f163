"""The queue's numbers for Prometheus; those of HTTP are counted in `kit.http_service`.

Counters grow in this process as things happen. Gauges about the queue are read from Redis when they are asked for, so
that they are right with several processes too.
"""

import time

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

from services.queue_manager.repository import QueueOverview

_FAST = (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_WAITS = (0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600)

SUBMITTED = Counter("comfyume_jobs_submitted", "Jobs taken in by this process, repeats not counted.")
LEASED = Counter("comfyume_jobs_leased", "Jobs handed to a worker by this process.")
ENDED = Counter("comfyume_jobs_ended", "Jobs whose end was reported to this process.", ["state"])
REAPED = Counter("comfyume_leases_expired", "Leases that ran out and were taken back by this process.")
CLAIM_SECONDS = Histogram("comfyume_claim_seconds", "One claim, Redis included.", buckets=_FAST)
LEASE_LATENCY = Histogram("comfyume_lease_latency_seconds", "From submit until a worker had the job.", buckets=_WAITS)
JOBS = Gauge("comfyume_jobs", "Jobs by state, waiting and running ones.", ["state"])
QUEUE_LENGTH = Gauge("comfyume_queue_length", "Jobs that wait.")
PARTICIPANTS = Gauge("comfyume_participants_active", "Participants with waiting or running jobs.")
WORKERS = Gauge("comfyume_workers", "Registered workers by state.", ["state"])
PARKED = Gauge("comfyume_workers_parked", "Workers of this process that wait for a job in a long poll.")
PAUSED = Gauge("comfyume_queue_paused", "1 while the queue hands out nothing (paused or draining).")

WORKER_STATES = ("idle", "busy", "draining", "lost")


class Stopwatch:
    """Remembers when the jobs of this process were submitted, to measure how long it took until a worker had them.

    Bounded: jobs beyond the limit are not measured, nor are those that were submitted to another process.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._since: dict[str, float] = {}

    def submitted(self, job_id: str) -> None:
        """Begin to measure a job."""
        if len(self._since) < self._limit:
            self._since[job_id] = time.monotonic()

    def leased(self, job_id: str) -> None:
        """A worker has the job; a second attempt is not measured."""
        since = self._since.pop(job_id, None)
        if since is not None:
            LEASE_LATENCY.observe(time.monotonic() - since)

    def forget_older(self, seconds: float) -> None:
        """Give up on jobs that were cancelled or went to a worker through another process."""
        oldest = time.monotonic() - seconds
        self._since = {job_id: since for job_id, since in self._since.items() if since > oldest}


WAITING = Stopwatch()


def render(overview: QueueOverview, workers: dict[str, int], parked: int) -> bytes:
    """Set the gauges to what is true now and write everything in Prometheus' text form."""
    JOBS.labels("queued").set(overview.waiting)
    JOBS.labels("running").set(overview.running)
    QUEUE_LENGTH.set(overview.waiting)
    PARTICIPANTS.set(sum(1 for person in overview.participants if person.waiting or person.running))
    for state in WORKER_STATES:
        WORKERS.labels(state).set(workers.get(state, 0))
    PARKED.set(parked)
    PAUSED.set(overview.settings.paused or overview.settings.draining)
    return generate_latest(REGISTRY)
