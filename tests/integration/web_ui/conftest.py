"""One room for all web UI tests: Redis, queue manager, a rehearsal worker, and two participants' web UIs."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.web_ui import WebUiProcess
from tests.support.worker_process import WorkerProcess


@dataclass
class Room:
    """The processes."""

    queue: QueueProcess
    worker: WorkerProcess
    alice: WebUiProcess
    bob: WebUiProcess


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Everything running and ready."""
    folder = tmp_path_factory.mktemp("room")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        queue = stack.enter_context(QueueProcess(folder / "queue", redis.url))
        worker = stack.enter_context(WorkerProcess(folder / "worker", queue.url))
        alice = stack.enter_context(WebUiProcess(folder / "ui", queue.url, "alice", QUOTA_BYTES=str(2**20)))
        bob = stack.enter_context(WebUiProcess(folder / "ui", queue.url, "bob"))
        yield Room(queue, worker, alice, bob)
