"""One queue manager with its own Redis for the tests of a module, and a worker with a small catalogue."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.workbench import Person, Workbench


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A running queue manager and the hands of its workers."""
    with (
        RedisServer(tmp_path_factory.mktemp("redis")) as redis,
        QueueProcess(tmp_path_factory.mktemp("queue"), redis.url) as queue,
        Workbench(queue, redis) as bench,
    ):
        bench.register()
        yield bench


@pytest.fixture
def queue(workbench: Workbench) -> Iterator[QueueProcess]:
    """The queue manager; nothing waits in it when the next test begins."""
    yield workbench.queue
    for name in ("alice", "bob", "carol", "ines"):
        with workbench.queue.client(name) as client:
            client.post("/api/jobs/cancel", json={"states": ["queued", "running"]}).raise_for_status()


@pytest.fixture
def alice(queue: QueueProcess) -> Iterator[Person]:
    """A participant."""
    person = Person(queue, "alice")
    yield person
    person.http.close()


@pytest.fixture
def bob(queue: QueueProcess) -> Iterator[Person]:
    """Another participant."""
    person = Person(queue, "bob")
    yield person
    person.http.close()


@pytest.fixture
def ines(queue: QueueProcess) -> Iterator[httpx.Client]:
    """The instructor's client."""
    with queue.client("ines") as client:
        yield client


@pytest.fixture
def otto(queue: QueueProcess) -> Iterator[httpx.Client]:
    """The operator's client."""
    with queue.client("otto") as client:
        yield client
