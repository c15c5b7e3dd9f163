"""Keeps a lease alive while its job runs, and hears from the same request when the job is to stop.

The request is parked at the queue manager, so a cancel arrives within milliseconds. While the queue manager is away the
heartbeat goes on trying: only its own word ends a lease, because nobody else could have been given the job meanwhile.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from services.domain.errors import LeaseLost, WorkshopError
from services.domain.job import Lease
from services.kit.logs import get_logger
from services.worker.queue_client import QueueClient, patiently

_log = get_logger(__name__)
_MAX_WAIT = 10.0
_PAUSE_AFTER_REFUSAL = 2.0


class Heartbeat:
    """`async with Heartbeat(...)` beats until it is left; calls `on_stop` or `on_lost` once."""

    def __init__(
        self, queue: QueueClient, lease: Lease, *, on_stop: Callable[[str], None], on_lost: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._lease = lease
        self._on_stop = on_stop
        self._on_lost = on_lost
        self._wait = min(_MAX_WAIT, lease.lease_seconds / 3)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        told = False
        while True:
            try:
                async for attempt in patiently():
                    with attempt:
                        beat = await self._queue.heartbeat(self._lease, 0 if told else self._wait)
            except LeaseLost:
                self._on_lost()
                return
            except WorkshopError as error:
                _log.warning("heartbeat was refused", job=self._lease.job_id, error=error.message)
                self._queue.renew_token()
                await asyncio.sleep(_PAUSE_AFTER_REFUSAL)
                continue
            if beat.stop and not told:
                self._on_stop(beat.stop)
                told = True
            if told:  # the job is being stopped: the answer would come at once, so the pause is ours
                await asyncio.sleep(self._wait)
