"""One queue manager with its Redis for all tests of files, catalogue and events; each test gets people of its own."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.workbench import PEOPLE, Person, Workbench

_numbers = itertools.count()


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A running queue manager with one worker that has registered a small catalogue."""
    with (
        RedisServer(tmp_path_factory.mktemp("files-redis")) as redis,
        QueueProcess(
            tmp_path_factory.mktemp("files"), redis.url, people=PEOPLE, settings={"LEASE_SECONDS": 600}
        ) as queue,
        Workbench(queue, redis) as bench,
    ):
        bench.register()
        yield bench


@pytest.fixture
def new_person(workbench: Workbench) -> Iterator[Callable[[], Person]]:
    """Make participants whom no other test knows; nothing of theirs waits when the test ends."""
    made: list[Person] = []

    def make() -> Person:
        made.append(Person(workbench.queue, f"p{next(_numbers)}"))
        return made[-1]

    yield make
    for person in made:
        person.http.post("/api/jobs/cancel", json={"states": ["queued", "running"]})
        person.http.close()


@pytest.fixture
def anna(new_person: Callable[[], Person]) -> Person:
    """A participant."""
    return new_person()
