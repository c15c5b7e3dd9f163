"""The worker's life: engine up, registered, one lease after another, drained at the end.

Decides when; how a job runs is `job_run.py`'s business, how an engine starts is `comfyui/backend.py`'s.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
import tenacity

from services.domain.errors import NotSignedIn, WorkshopError
from services.kit.logs import get_logger
from services.worker.artifacts.inputs import InputCache
from services.worker.comfyui.backend import Engine, EngineNotReady, make_engine
from services.worker.comfyui.execution import clear_leftovers
from services.worker.comfyui.outcome import Cure
from services.worker.extension_bundle import ExtensionBundle
from services.worker.health import HealthServer, Metrics
from services.worker.job_run import Ended, JobRun, Workplace
from services.worker.memory_guard import MemoryGuard
from services.worker.profile import read_profile
from services.worker.queue_client import LeasedJob, NotRegistered, QueueClient, patiently
from services.worker.settings import WorkerSettings

_log = get_logger(__name__)
_T = TypeVar("_T")

_LEASE_WAIT = 20.0
"""Seconds that a request for a job stays parked at the queue manager."""
_REFUSED_PAUSE = 5.0
_AWAY_PAUSE = 1.0
_GOODBYE_SECONDS = 5.0
_LAST_LEASE_SECONDS = 1.0
"""How long a draining worker still waits for the answer to its parked request: it may hold a job already."""


class CannotStart(Exception):
    """The worker's settings do not fit this machine; the message names the setting."""


class Agent:
    """One worker. `run` returns after `drain`; a second `drain` gives the running job back at once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._queue = QueueClient(str(settings.queue_url), settings.name, settings.read_token)
        self._engine: Engine = make_engine(settings)
        cache = InputCache(settings.data_dir / "inputs", settings.input_cache_bytes)
        self._place = Workplace(self._queue, self._engine, cache, MemoryGuard(self._engine), {})
        self._draining = asyncio.Event()
        self._job: JobRun | None = None
        self._running: asyncio.Task[Ended] | None = None
        self._read_at: float | None = None
        self._engine_sure = False
        self._state = "starting"
        self.metrics = Metrics()

    def drain(self) -> None:
        """Take no further job; finish the running one, or with the second call give it back."""
        _log.info("draining", job_runs=self._job is not None, at_once=self._draining.is_set())
        if self._draining.is_set():
            self._hurry()
        self._draining.set()

    async def run(self) -> None:
        """Work until drained. Raises CannotStart, and EngineRefused for a ComfyUI that must not be used."""
        health = self._listen()
        try:
            while not self._draining.is_set():
                await self._take_a_turn()
        finally:
            self._enter("ended")
            await self._say_goodbye()
            await self._engine.stop()
            await self._queue.close()
            if health is not None:
                health.close()

    def _listen(self) -> HealthServer | None:
        if not self._settings.health_port:
            return None
        address = (self._settings.health_host, self._settings.health_port)
        try:
            return HealthServer(*address, self.metrics, self.describe)
        except OSError as error:
            raise CannotStart(f"WORKER_HEALTH_PORT: port {address[1]} is not free; choose another one.") from error

    def describe(self) -> dict[str, Any]:
        """What /readyz shows."""
        return {
            "ready": self._state in ("idle", "busy"),
            "state": self._state,
            "worker": self._settings.name,
            "comfyui_version": self._engine.version,
        }

    def _enter(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self.metrics.ready.set(state in ("idle", "busy"))

    async def _take_a_turn(self) -> None:
        """Bring everything up as far as needed, then wait for one job and run it."""
        try:
            if not self._engine_sure:
                await self._unless_draining(self._bring_engine_up())
            if self._is_profile_old():
                await self._unless_draining(self._register())
            self._enter("idle")
            leased = await self._wait_for_job()
            if leased is not None:
                await self._run_job(leased)
        except _Draining:
            pass
        except NotRegistered:
            self._read_at = None
        except NotSignedIn as error:
            _log.error("queue manager refuses the credential", error=error.message)
            self._enter("refused")
            self._queue.renew_token()
            await self._pause(_REFUSED_PAUSE)
        except (WorkshopError, ValueError) as error:
            _log.error("queue manager refuses the worker", error=str(error))
            self._enter("refused")
            await self._pause(_REFUSED_PAUSE)
        except httpx.HTTPError as error:
            _log.warning("engine does not answer", error=repr(error))
            self._engine_sure = False
            await self._pause(_AWAY_PAUSE)

    # Engine and registration --------------------------------------------------------------------------------

    async def _bring_engine_up(self) -> None:
        self._enter("engine_starting")
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(EngineNotReady),
            wait=tenacity.wait_exponential(multiplier=0.5, max=30),
            before_sleep=_say_not_ready,
            reraise=True,
        ):
            with attempt:
                await self._engine.ensure_ready()
        while not await clear_leftovers(self._engine, self._place.client_prefix):
            _log.warning("engine still runs a job of this worker's earlier life; waiting for it to end")
            await asyncio.sleep(_REFUSED_PAUSE)
        self._engine_sure = True
        self._read_at = None  # nodes and models may have changed with the process
        self._place.loaded_model = ""
        _log.info("engine is ready", version=self._engine.version, backend=str(self._settings.backend))

    def _is_profile_old(self) -> bool:
        return self._read_at is None or time.monotonic() - self._read_at > self._settings.refresh_seconds

    async def _register(self) -> None:
        profile = await read_profile(self._engine)
        self._place.kinds = profile.kinds
        self._place.guard.sizes = profile.model_sizes
        async for attempt in patiently():
            with attempt:
                answer = await self._queue.register(profile.registration)
                if answer.catalogue_needed:
                    await self._queue.upload_catalogue(profile.catalogue)
        if answer.extensions_needed:
            await self._publish_extensions(profile.extensions)
        first, self._read_at = self._read_at is None, time.monotonic()
        if first:
            _log.info(
                "ready", worker=self._settings.name, nodes=len(profile.kinds), queue=str(self._settings.queue_url)
            )

    async def _publish_extensions(self, bundle: ExtensionBundle) -> None:
        """Hand over the page files. A page without them is poorer; a worker without jobs would be worse."""
        try:
            await self._queue.upload_extensions(bundle.body)
        except (WorkshopError, httpx.TransportError) as error:
            _log.error("the node packs' page files could not be published", error=repr(error))

    # Jobs ---------------------------------------------------------------------------------------------------

    async def _wait_for_job(self) -> LeasedJob | None:
        """A lease, or None after a while without one. Meanwhile an engine that ends is started again."""
        asking = asyncio.create_task(self._ask_for_job())
        draining = asyncio.create_task(self._draining.wait())
        try:
            while not asking.done():
                watched: set[asyncio.Future[Any]] = {asking, draining}
                if self._engine.exited is not None:
                    watched.add(self._engine.exited)
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                if draining.done():
                    await self._give_back_late(asking)
                    return None
                if self._engine.exited is not None and self._engine.exited.done() and not asking.done():
                    await self._unless_draining(self._bring_engine_up())
            return asking.result()
        finally:
            for task in (asking, draining):
                task.cancel()
            await asyncio.gather(asking, draining, return_exceptions=True)

    async def _ask_for_job(self) -> LeasedJob | None:
        async for attempt in patiently():
            with attempt:
                return await self._queue.lease(_LEASE_WAIT, self._place.loaded_model)
        return None

    async def _give_back_late(self, asking: "asyncio.Task[LeasedJob | None]") -> None:
        """Give back a job that was on its way when the worker began to drain."""
        await self._announce_draining()
        await asyncio.wait([asking], timeout=_LAST_LEASE_SECONDS)
        if asking.done() and not asking.cancelled() and asking.exception() is None and (late := asking.result()):
            await self._queue.give_back(late.lease, "drained")

    async def _run_job(self, leased: LeasedJob) -> None:
        self._enter("busy")
        self._job = JobRun(self._place, leased)
        self._running = asyncio.create_task(self._job.run())
        watch = asyncio.create_task(self._hurry_after_draining())
        try:
            ended = await self._running
        except asyncio.CancelledError:
            _log.warning("job is left to its lease: the queue manager does not answer", job=leased.lease.job_id)
            return
        finally:
            self._job = self._running = None
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        self.metrics.jobs.labels(ended.how).inc()
        self.metrics.seconds.observe(ended.seconds)
        await self._cure(ended.cure)

    async def _hurry_after_draining(self) -> None:
        """Let the running job end, but not for longer than the setting says."""
        await self._draining.wait()
        await self._announce_draining()
        await asyncio.sleep(self._settings.drain_seconds)
        self._hurry()

    def _hurry(self) -> None:
        """Give the running job back; leave it to its lease when even that takes too long."""
        if self._job is not None and self._running is not None:
            self._job.stop("drained")
            limit = self._settings.interrupt_seconds + _GOODBYE_SECONDS
            asyncio.get_running_loop().call_later(limit, self._running.cancel)

    async def _cure(self, cure: Cure) -> None:
        """Leave the engine fit for the next job."""
        if cure is Cure.NONE:
            return
        self._place.loaded_model = ""
        if cure is Cure.FREE:
            try:
                await self._engine.client.free()
            except httpx.HTTPError:
                self._engine_sure = False
            return
        self.metrics.restarts.inc()
        self._engine_sure = False
        await self._engine.restart()

    # Patience and the end -----------------------------------------------------------------------------------

    async def _unless_draining(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await `work`, but leave it by `_Draining` when the worker is to end."""
        task, draining = asyncio.create_task(work), asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait([task, draining], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Draining
        finally:
            for one in (task, draining):
                one.cancel()
            await asyncio.gather(task, draining, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._draining.wait()
        except TimeoutError:
            return

    async def _announce_draining(self) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._queue.set_draining(True)
        except (TimeoutError, httpx.HTTPError, WorkshopError) as error:
            _log.warning("could not say that this worker drains", error=repr(error))

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._queue.leave()
        except (TimeoutError, httpx.HTTPError, WorkshopError) as error:
            _log.warning("could not take leave of the queue manager", error=repr(error))


class _Draining(Exception):
    """The worker is to end while it waits for something."""


def _say_not_ready(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning("engine is not ready", attempt=state.attempt_number, error=str(error))
