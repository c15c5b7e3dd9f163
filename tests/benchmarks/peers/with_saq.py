"""saq: asyncio, one Redis list and a record for each job."""

import asyncio
from typing import Any

from saq import Queue, Worker

from tests.benchmarks.peers.peer import Peer, Stamps


async def stamp(ctx: dict[str, Any], *, payload: str) -> None:
    Stamps.write()


class SaqPeer(Peer):
    """saq with its default of ten jobs at once."""

    async def open(self) -> None:
        self.queue = Queue.from_url(self.redis_url)
        await self.queue.connect()

    async def enqueue(self, payload: str) -> None:
        await self.queue.enqueue("stamp", payload=payload)

    async def close(self) -> None:
        await self.queue.disconnect()

    def work(self) -> None:
        async def run() -> None:
            await Worker(Queue.from_url(self.redis_url), functions=[stamp]).start()

        asyncio.run(run())
