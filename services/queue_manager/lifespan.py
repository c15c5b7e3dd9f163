"""What lives as long as the process: opened in order at start, closed in reverse at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from services.domain.errors import WorkshopError
from services.domain.names import Role
from services.kit.clock import now_ms
from services.kit.redis_connection import RedisConnection
from services.queue_manager import metrics
from services.queue_manager.background import Tick, repeat
from services.queue_manager.bell import Bell, StopSignals
from services.queue_manager.catalogue_store import CatalogueStore
from services.queue_manager.credentials import Credentials, Identity
from services.queue_manager.credentials_folder import CredentialsFolder, FolderFollower
from services.queue_manager.dependencies import State
from services.queue_manager.events import EventHub
from services.queue_manager.extension_store import ExtensionStore
from services.queue_manager.files.archive import Archive
from services.queue_manager.files.inputs import InputFiles
from services.queue_manager.files.outputs import OutputFiles
from services.queue_manager.leasing import Leasing
from services.queue_manager.parity import Parity
from services.queue_manager.pooling import Pools
from services.queue_manager.previews import Previews
from services.queue_manager.published_workflows import PublishedWorkflows
from services.queue_manager.repository import JobRepository
from services.queue_manager.scripts import Limits, Scripts
from services.queue_manager.settings import QueueManagerSettings
from services.queue_manager.signals import Signals
from services.queue_manager.views import JobViews
from services.queue_manager.workers import Workers

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State]]


def build(settings: QueueManagerSettings, redis: RedisConnection) -> State:
    """Make every part; nothing is connected and nothing runs yet."""
    limits = Limits(
        waiting_cap=settings.waiting_cap,
        running_cap=settings.running_cap,
        keep_ended_ms=settings.keep_ended_seconds * 1000,
        events_length=settings.events_length,
    )
    jobs = JobRepository(redis, Scripts(redis, limits))
    catalogues = CatalogueStore(redis, settings.data_dir / "catalogues")
    pools = Pools(redis, jobs, catalogues)
    inputs = InputFiles(redis, jobs, settings.data_dir / "inputs", settings.max_input_bytes)
    leasing = Leasing(jobs, pools, settings.lease_seconds)
    extensions = ExtensionStore(redis, settings.data_dir / "extensions")
    workers = Workers(redis, jobs, catalogues)
    archive = Archive(jobs, settings.data_dir)
    credentials = Credentials(redis)
    events = EventHub(redis, credentials.participants)
    return State(
        settings=settings,
        redis=redis,
        jobs=jobs,
        credentials=credentials,
        bell=Bell(leasing.claim, pools.of_worker, leasing.give_back),
        stops=StopSignals(),
        leasing=leasing,
        workers=workers,
        views=JobViews(jobs, workers, pools, archive),
        catalogues=catalogues,
        extensions=extensions,
        published=PublishedWorkflows(settings.data_dir / "published"),
        pools=pools,
        parity=Parity(catalogues, pools, inputs),
        inputs=inputs,
        archive=archive,
        outputs=OutputFiles(jobs, settings.data_dir, settings.max_input_bytes),
        events=events,
        previews=Previews(redis, events),
    )


def lifespan_of(settings: QueueManagerSettings) -> Lifespan:
    """Make the lifespan of an application with these settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            redis = RedisConnection(settings.redis_url.get_secret_value())
            stack.push_async_callback(redis.close)
            state = build(settings, redis)
            follower = follower_of(settings, state)

            async def look_again() -> None:
                """The line is there (again): read what other processes may have changed meanwhile."""
                if follower is not None:
                    await state["credentials"].read()
                    await follower.take_over(now_ms())
                await state["credentials"].load()
                await state["catalogues"].refresh()
                await state["pools"].refresh()
                state["bell"].ring()
                state["stops"].ring_all()

            signals = Signals(redis, state["bell"], state["stops"], state["credentials"], state["pools"], look_again)
            state["credentials"].announcer = signals
            state["bell"].on_parked = signals.hear_work
            with contextlib.suppress(WorkshopError):  # without Redis now, at the next tick
                await state["outputs"].heal()
            jobs = [signals.run(), state["bell"].run(), state["events"].run(), state["previews"].run()]
            jobs.append(_let_go(app.state.stopping, state))
            if follower is not None:
                jobs.append(repeat(Tick("credentials folder", 1.0, lambda: follower.follow(now_ms()))))
            tasks = [asyncio.create_task(job) for job in (*jobs, *map(repeat, ticks(state)))]
            stack.push_async_callback(_cancel, tasks)
            yield state
            with contextlib.suppress(WorkshopError):
                await state["workers"].flush()

    return lifespan


def follower_of(settings: QueueManagerSettings, state: State) -> FolderFollower | None:
    """What follows the folder of credentials, None without one."""
    if settings.credentials_dir is None:
        return None

    async def removed(who: Identity, now: int) -> None:
        if who.role in (Role.PARTICIPANT, Role.INSTRUCTOR):
            await state["jobs"].forget_participant(who.name, now)

    folder = CredentialsFolder(settings.credentials_dir)
    return FolderFollower(folder, state["redis"], Scripts(state["redis"]), state["credentials"], removed)


def ticks(state: State) -> list[Tick]:
    """The work that is done at intervals."""
    jobs, workers, pools, catalogues = state["jobs"], state["workers"], state["pools"], state["catalogues"]

    async def reap() -> None:
        metrics.REAPED.inc(len(await jobs.reap(now_ms())))

    async def repool() -> None:
        await catalogues.refresh()
        await pools.refresh()
        await pools.repool(now_ms())

    async def forget() -> None:
        for participant, job_id in await jobs.forget_ended():
            await state["outputs"].remove(participant, job_id)
            await state["archive"].remove(participant, job_id)

    async def give_up_measuring() -> None:
        metrics.WAITING.forget_older(3600)

    return [
        Tick("measure", 600.0, give_up_measuring),
        Tick("look at viewers", 1.0, state["events"].look_around),
        Tick("archive", 2.0, state["archive"].take_some),
        Tick("forget", 10.0, forget),
        Tick("heal outputs", 60.0, state["outputs"].heal),
        Tick("sweep inputs", 3600.0, state["inputs"].sweep),
        Tick("reap", 1.0, reap),
        Tick("workers", 1.0, workers.flush),
        Tick("repool", 2.0, repool),
        Tick("forget workers", 600.0, lambda: workers.forget_silent(now_ms())),
    ]


async def _let_go(stopping: asyncio.Event, state: State) -> None:
    """Answer everybody who is parked as soon as the process is told to end."""
    await stopping.wait()
    state["bell"].close()
    state["stops"].close()
    state["events"].close()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
