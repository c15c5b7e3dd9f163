"""Fixtures that many tests share: one real redis-server for the whole run, empty before and checked after each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from services.kit.redis_connection import RedisConnection
from services.queue_manager.repository import JobRepository
from services.queue_manager.scripts import Scripts
from tests.support.key_leaks import leaked_keys
from tests.support.redis_server import RedisServer

# How long an example takes says nothing here: tests run on machines of unknown load.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The redis-server of this test run."""
    folder: Path = tmp_path_factory.mktemp("redis")
    with RedisServer(folder) as server:
        yield server


@pytest.fixture
def redis_server(redis_process: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis; after the test no key may be there that keys.py does not know or that would stay for ever."""
    with redis_process.client() as client:
        client.flushall()
        yield redis_process
        leaks = leaked_keys(client)
        client.flushall()
    assert not leaks, leaks


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    """The services' own connection to it."""
    connection = RedisConnection(redis_server.url)
    yield connection
    await connection.close()


@pytest.fixture
def jobs(redis: RedisConnection) -> JobRepository:
    """A repository with the default limits."""
    return JobRepository(redis, Scripts(redis))
