"""dramatiq: threads, a Redis list with a hash of messages, dispatched by Lua."""

import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.peers.peer import Peer, Stamps


def stamp(payload: str) -> None:
    Stamps.write()


class DramatiqPeer(Peer):
    """dramatiq with its default of eight threads."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url)
        self.broker = RedisBroker(url=redis_url)
        dramatiq.set_broker(self.broker)
        self.actor = dramatiq.actor(stamp)

    async def open(self) -> None:
        self.broker.client.ping()

    async def enqueue(self, payload: str) -> None:
        self.actor.send(payload)

    async def close(self) -> None:
        self.broker.close()

    def work(self) -> None:
        dramatiq.Worker(self.broker).start()
        threading.Event().wait()
