"""What all parts of the repository share: the connection, the scripts, and the way from JSON to Redis and back."""

import msgspec

from services.domain.errors import Conflict, NotFound
from services.kit.redis_connection import RedisConnection
from services.queue_manager.scripts import Scripts

encode = msgspec.json.Encoder().encode


def no_such_job(job_id: str) -> NotFound:
    """The error for a job id that is unknown (or belongs to somebody else: the answer is the same)."""
    return NotFound(f"There is no job {job_id}; it may have been removed or its time may be over. List your jobs.")


def check(code: int, job_id: str, refused: str) -> None:
    """Raise what the usual codes of the scripts mean: 1 done, 0 the state does not allow it, -1 no such job."""
    if code == -1:
        raise no_such_job(job_id)
    if code == 0:
        raise Conflict(refused)


class Base:
    """Holds the connection and the scripts."""

    def __init__(self, redis: RedisConnection, scripts: Scripts) -> None:
        self._redis = redis
        self._scripts = scripts
