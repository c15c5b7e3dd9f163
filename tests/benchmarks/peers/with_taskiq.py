"""taskiq: asyncio, a plain Redis list (its quickest broker; a taken job is gone when its worker dies)."""

import asyncio

from taskiq.receiver import Receiver
from taskiq_redis import ListQueueBroker

from tests.benchmarks.peers.peer import Peer, Stamps


async def stamp(payload: str) -> None:
    Stamps.write()


class TaskiqPeer(Peer):
    """taskiq over a list, the receiver as its command line starts it."""

    async def open(self) -> None:
        self.broker = ListQueueBroker(self.redis_url)
        self.task = self.broker.register_task(stamp, task_name="stamp")
        await self.broker.startup()

    async def enqueue(self, payload: str) -> None:
        await self.task.kiq(payload)

    async def close(self) -> None:
        await self.broker.shutdown()

    def work(self) -> None:
        async def run() -> None:
            broker = ListQueueBroker(self.redis_url)
            broker.is_worker_process = True
            broker.register_task(stamp, task_name="stamp")
            await broker.startup()
            await Receiver(broker, max_async_tasks=100).listen(asyncio.Event())

        asyncio.run(run())
