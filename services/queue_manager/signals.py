"""Short notes between the processes of one queue manager, over Redis pub/sub.

A note is a hint ("look again"), never the truth: the truth is in Redis. The queue's scripts say when a job may have
become claimable (channel `bell`) and when a running one is to stop (`stops`). This module adds the change of a
credential: it is acknowledged, so that whoever changed it knows when every process has taken it over. While the line
is down this process vouches for no credential; when it is back everything is looked at again.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

from services.domain.errors import WorkshopError
from services.domain.names import Role
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection
from services.kit.redis_subscription import Subscription
from services.queue_manager import keys
from services.queue_manager.bell import Bell, StopSignals
from services.queue_manager.credentials import Credentials
from services.queue_manager.pooling import Pools

log = get_logger(__name__)

RETRY_SECONDS = 0.25
"""Between two attempts to get the line back."""
ACKNOWLEDGE_SECONDS = 10.0
"""How long a change of a credential waits for the other processes; one that hangs longer is not waited for."""


class Signals:
    """This process's end of the line."""

    def __init__(
        self,
        redis: RedisConnection,
        bell: Bell,
        stops: StopSignals,
        credentials: Credentials,
        pools: Pools,
        on_line: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_line` is awaited each time the line is there (again); notes that come meanwhile are not lost."""
        self._redis = redis
        self._bell = bell
        self._stops = stops
        self._credentials = credentials
        self._pools = pools
        self._learning: set[asyncio.Task[None]] = set()
        self._line: Subscription | None = None
        self._hears_work = False
        self._on_line = on_line
        self._pending: dict[str, _Acknowledgements] = {}
        self._changes: asyncio.Queue[tuple[str, Role, str]] = asyncio.Queue()

    async def announce_credential(self, role: Role, name: str) -> None:
        """A credential has changed: return when every process has taken that over."""
        nonce = secrets.token_hex(8)
        waiting = self._pending[nonce] = _Acknowledgements()
        try:
            note = f"changed {nonce} {role} {name}"
            waiting.expect(await self._redis.execute("PUBLISH", keys.CREDENTIAL_NOTES, note))
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                await waiting.complete.wait()
        except TimeoutError:
            log.warning("a process did not acknowledge a changed credential", role=role, name=name)
        finally:
            del self._pending[nonce]

    async def run(self) -> None:
        """Keep the line up until cancelled."""
        while True:
            try:
                async with Subscription(self._redis, (keys.STOPS, keys.CREDENTIAL_NOTES), self._take) as line:
                    self._line = line
                    await self._on_line()
                    if self._bell.waiting:
                        await self.hear_work()
                    log.info("the line to Redis is up")
                    await self._take_changes_until(line.ended())
            except WorkshopError as error:
                log.warning("the line to Redis is down", error=error.code)
            except Exception:
                log.exception("the line to Redis broke")
            finally:
                self._line, self._hears_work = None, False
                self._credentials.distrust()
            await asyncio.sleep(RETRY_SECONDS)

    def _take(self, channel: str, note: str) -> None:
        """Handle one note; called for each of thousands a second, so it only rings and queues."""
        if channel == keys.BELL:
            self._take_work(note)
            return
        if channel == keys.STOPS:
            self._stops.ring(note)
            return
        word, _, rest = note.partition(" ")
        if word == "changed":
            nonce, role, name = rest.split(" ")
            self._changes.put_nowait((nonce, Role(role), name))
        elif word == "taken" and rest in self._pending:
            self._pending[rest].arrived()

    async def hear_work(self) -> None:
        """Return when this process hears of work. It listens only while workers are parked here: under a flood of
        submits to a busy room nobody has to be told of each one.
        """
        if self._line is None or self._hears_work:
            return  # when the line is back, whoever is parked is thought of
        self._hears_work = True
        try:
            await self._line.add(keys.BELL)
            await self._pools.refresh()  # other processes may have made some while this one did not listen
        except WorkshopError:
            self._hears_work = False

    def _take_work(self, pool: str) -> None:
        """Wake the parked workers; first learn a pool that another process has just made."""
        if not self._bell.waiting:
            if self._hears_work and self._line is not None:
                self._hears_work = False
                self._line.drop(keys.BELL)
        elif self._pools.knows(pool):
            self._bell.ring()
        else:
            learning = asyncio.create_task(self._learn_pools())
            self._learning.add(learning)
            learning.add_done_callback(self._learning.discard)

    async def _learn_pools(self) -> None:
        with contextlib.suppress(WorkshopError):  # the line is about to go down and to look again
            await self._pools.refresh()
            self._bell.ring()

    async def _take_changes_until(self, ended: Awaitable[None]) -> None:
        """Take changed credentials over, in order, and say so, until the line has ended."""
        end = asyncio.ensure_future(ended)
        try:
            while not end.done():
                change = asyncio.ensure_future(self._changes.get())
                await asyncio.wait({end, change}, return_when=asyncio.FIRST_COMPLETED)
                if not change.done():
                    change.cancel()
                    continue
                nonce, role, name = change.result()
                await self._credentials.refresh(role, name)
                await self._redis.execute("PUBLISH", keys.CREDENTIAL_NOTES, f"taken {nonce}")
        finally:
            end.cancel()


class _Acknowledgements:
    """Counts who has taken a note over; the answers may come before it is known how many to expect."""

    def __init__(self) -> None:
        self.complete = asyncio.Event()
        self._expected: int | None = None
        self._arrived = 0

    def expect(self, receivers: int) -> None:
        self._expected = receivers
        self._check()

    def arrived(self) -> None:
        self._arrived += 1
        self._check()

    def _check(self) -> None:
        if self._expected is not None and self._arrived >= self._expected:
            self.complete.set()
