"""The job repository: every queue verb as a method over Redis, and the records that go in and out.

It stores and answers; what may be asked by whom is the routes' business, which job is next is decided in `lua/`.
"""

from services.queue_manager.repository.jobs import JobRepository
from services.queue_manager.repository.records import (
    ANY_POOL,
    Enqueued,
    Extended,
    NewJob,
    ParticipantCounts,
    Place,
    QueueOverview,
    QueueSettings,
)

__all__ = [
    "ANY_POOL",
    "Enqueued",
    "Extended",
    "JobRepository",
    "NewJob",
    "ParticipantCounts",
    "Place",
    "QueueOverview",
    "QueueSettings",
]
