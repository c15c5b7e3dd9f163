"""Carries a job's messages and previews to the queue manager while the job runs.

Messages keep their order and none is dropped, except progress that a newer one has overtaken. Previews are live only:
the newest of each node is sent, older ones are forgotten; pictures that are results go in order, among the messages.
Choosing and cleaning is done by `comfyui/messages.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
import msgspec

from services.domain.errors import LeaseLost, WorkshopError
from services.domain.job import Lease
from services.kit.logs import get_logger
from services.worker.comfyui.messages import PICTURE, PROGRESS
from services.worker.queue_client import QueueClient, patiently

_log = get_logger(__name__)
_BATCH = 100
_BATCH_BYTES = 1 << 20
"""Bounds of one request: messages, and bytes unless a single message is larger. The queue manager takes 8 MiB."""
_PICTURES = 64
"""Pictures that wait while the queue manager is away; more are dropped, as nothing of them is stored anywhere."""
_PROGRESS_PAUSE = 0.05
"""Seconds after a batch in which more progress is collected: twenty updates a second are as smooth as a bar gets."""
_PREVIEW_PAUSE = 0.1


class _Encoded(NamedTuple):
    """A message on its way."""

    type: str
    json: bytes


class Relay:
    """Two senders, one for messages and one for previews; `async with` starts and ends them."""

    def __init__(self, queue: QueueClient, lease: Lease, on_lost: Callable[[], None]) -> None:
        self._queue = queue
        self._lease = lease
        self._on_lost = on_lost
        self._messages: list[dict[str, Any] | bytes] = []
        self._frames: dict[str, bytes] = {}
        self._wake_messages = asyncio.Event()
        self._wake_frames = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self.before_results: Callable[[], Awaitable[None]] | None = None
        """Awaited before a message that names files is sent, so that the files are there first."""

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._send_messages()), asyncio.create_task(self._send_frames())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def message(self, message: dict[str, Any]) -> None:
        """Queue a message; progress takes the place of older progress that has not been sent yet."""
        self._idle.clear()
        if (place := self._overtaken_by(message)) is not None:
            self._messages[place] = message
        else:
            self._messages.append(message)
        self._wake_messages.set()

    def frame(self, key: str, frame: bytes) -> None:
        """Queue a binary frame; a preview takes the place of an unsent one with the same key."""
        if key == PICTURE:
            if sum(isinstance(waiting, bytes) for waiting in self._messages) < _PICTURES:
                self._idle.clear()
                self._messages.append(frame)
                self._wake_messages.set()
            return
        self._frames.pop(key, None)
        self._frames[key] = frame
        self._wake_frames.set()

    async def flush(self) -> None:
        """Return when every message is with the queue manager, or the lease is lost."""
        waiting = asyncio.create_task(self._idle.wait())
        await asyncio.wait([waiting, self._tasks[0]], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    def _overtaken_by(self, message: dict[str, Any]) -> int | None:
        if message["type"] not in PROGRESS:
            return None
        for place in range(len(self._messages) - 1, -1, -1):
            older = self._messages[place]
            if isinstance(older, bytes) or older["type"] not in PROGRESS:
                return None  # nothing is moved across a message of another kind
            if older["type"] == message["type"] and older["data"].get("node") == message["data"].get("node"):
                return place
        return None

    async def _send_messages(self) -> None:
        while True:
            await self._wake_messages.wait()
            self._wake_messages.clear()
            while self._messages:
                batch = self._take_batch()
                if not await (self._deliver(batch) if batch else self._deliver_frame(self._take_picture())):
                    return
                if not self._messages:
                    self._idle.set()
                if batch and batch[-1].type in PROGRESS:
                    await asyncio.sleep(_PROGRESS_PAUSE)

    def _take_picture(self) -> bytes:
        picture = self._messages.pop(0)
        assert isinstance(picture, bytes), "asked for where no message comes first"
        return picture

    def _take_batch(self) -> list[_Encoded]:
        """The oldest messages up to the next picture: none where a picture comes first."""
        batch: list[_Encoded] = []
        size = 0
        while self._messages and len(batch) < _BATCH and size < _BATCH_BYTES:
            message = self._messages[0]
            if isinstance(message, bytes):
                break
            del self._messages[0]
            batch.append(_Encoded(message["type"], msgspec.json.encode(message)))
            size += len(batch[-1].json)
        return batch

    async def _deliver(self, batch: list[_Encoded]) -> bool:
        """Send one batch, however long the queue manager is away; False when the lease is lost."""
        try:
            if self.before_results is not None and any(message.type == "executed" for message in batch):
                await self.before_results()
            async for attempt in patiently():
                with attempt:
                    await self._queue.events(self._lease, [message.json for message in batch])
        except LeaseLost:
            self._on_lost()
            return False
        except WorkshopError as error:
            _log.warning("messages were refused", job=self._lease.job_id, count=len(batch), error=error.message)
        return True

    async def _send_frames(self) -> None:
        while True:
            await self._wake_frames.wait()
            self._wake_frames.clear()
            while self._frames:
                if not await self._deliver_frame(self._frames.pop(next(iter(self._frames)))):
                    return
                await asyncio.sleep(_PREVIEW_PAUSE)

    async def _deliver_frame(self, frame: bytes) -> bool:
        """Send one frame, once; False when the lease is lost."""
        try:
            await self._queue.preview(self._lease, frame)
        except LeaseLost:
            self._on_lost()
            return False
        except (WorkshopError, httpx.HTTPError) as error:
            _log.debug("a frame was dropped", job=self._lease.job_id, error=repr(error))
        return True
