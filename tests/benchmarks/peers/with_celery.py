"""Celery: processes, a Redis list through kombu, JSON messages."""

from celery import Celery

from tests.benchmarks.peers.peer import Peer, Stamps


def stamp(payload: str) -> None:
    Stamps.write()


class CeleryPeer(Peer):
    """Celery with its default pool (one process for each core), no result store, no gossip."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url)
        self.app = Celery("bench", broker=redis_url)
        self.app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
        self.task = self.app.task(stamp, name="stamp")

    async def open(self) -> None:
        self.task.delay("")

    async def enqueue(self, payload: str) -> None:
        self.task.delay(payload)

    async def close(self) -> None:
        self.app.close()

    def work(self) -> None:
        self.app.worker_main(["worker", "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--concurrency=2"])
