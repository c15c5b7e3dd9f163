"""`JobRepository`: the queue verbs, put together from submitting, leasing, control and reading."""

from services.queue_manager.repository.control import Control
from services.queue_manager.repository.events import EventLog
from services.queue_manager.repository.leasing import Leasing
from services.queue_manager.repository.pools import Pools
from services.queue_manager.repository.reading import Reading
from services.queue_manager.repository.retention import Retention
from services.queue_manager.repository.submitting import Submitting


class JobRepository(Submitting, Leasing, Control, Reading, Pools, Retention, EventLog):
    """All jobs of the workshop. `now` is always unix milliseconds; every method raises Unavailable without Redis."""
