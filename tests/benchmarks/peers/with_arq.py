"""arq: asyncio, a sorted set that its worker looks at every half second."""

from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

from tests.benchmarks.peers.peer import Peer, Stamps


async def stamp(ctx: dict[str, Any], payload: str) -> None:
    Stamps.write()


class ArqPeer(Peer):
    """arq with its default of ten jobs at once and its default poll delay."""

    async def open(self) -> None:
        self.pool = await create_pool(RedisSettings.from_dsn(self.redis_url))

    async def enqueue(self, payload: str) -> None:
        await self.pool.enqueue_job("stamp", payload)

    async def close(self) -> None:
        await self.pool.aclose()

    def work(self) -> None:
        Worker(functions=[stamp], redis_settings=RedisSettings.from_dsn(self.redis_url)).run()
