"""The whole system on one page, in the order in which it stands on itself."""

import pulumi

from infra.components.admin import PORT as ADMIN_PORT
from infra.components.admin import Admin, AdminArgs
from infra.components.app_host import AppHost, AppHostArgs
from infra.components.backups import Backups, BackupsArgs, schedules_of
from infra.components.edge import Edge, EdgeArgs, SignIn, SignInArgs
from infra.components.frontend_pool import FrontendPool, FrontendPoolArgs
from infra.components.gpu_fleet import GpuFleet, GpuFleetArgs
from infra.components.monitoring import Monitoring, MonitoringArgs
from infra.components.object_storage import ObjectStorage, ObjectStorageArgs
from infra.components.queue_manager import QueueManager, QueueManagerArgs
from infra.components.serverless import Serverless, ServerlessArgs
from infra.components.shared_filesystem import SharedFilesystem, SharedFilesystemArgs
from infra.components.state_store import StateStore, StateStoreArgs
from infra.naming import Naming
from infra.outputs import app_containers, app_host_facts, stack_document
from infra.providers import Providers
from infra.settings import NAMESPACE, StackSettings


def declare(settings: StackSettings, stack: str) -> pulumi.Output[dict[str, object]]:
    """Declare everything of one stack; gives the document that describes it (services/domain/stack_outputs.py)."""
    naming = Naming(NAMESPACE, stack)
    providers = Providers(settings)

    # Where things are kept: buckets in Europe, and the filesystem that all GPU hosts share.
    storage = ObjectStorage(
        "storage",
        ObjectStorageArgs(
            settings=settings.object_storage,
            protection=settings.protection,
            naming=naming,
            provider=providers.cloudflare,
        ),
    )
    shared = None
    if settings.shared_filesystem:
        shared = SharedFilesystem(
            "shared-filesystem",
            SharedFilesystemArgs(
                settings=settings.shared_filesystem,
                protection=settings.protection,
                naming=naming,
                location=settings.gpu.location,
            ),
        )

    # The one cheap machine, from bare to an engine that runs containers on two networks.
    app = AppHost("app-host", AppHostArgs(settings=settings, naming=naming, providers=providers))

    # The queue: Redis, which nobody but the queue manager can reach, and the queue manager.
    redis = StateStore("redis", StateStoreArgs(settings=settings, naming=naming, host=app.containers, network="redis"))
    queue = QueueManager(
        "queue-manager",
        QueueManagerArgs(
            settings=settings,
            naming=naming,
            host=app.containers,
            redis_url=redis.url,
            redis=redis.container,
            tailnet_address=app.tailnet_address,
            networks=("front", "redis"),
        ),
    )

    # The people: sign-in, and a web UI for each participant.
    sign_in = SignIn(
        "auth",
        SignInArgs(settings=settings, naming=naming, host=app.containers, network="front", folders=queue.files),
    )
    web_uis = FrontendPool(
        "frontends",
        FrontendPoolArgs(
            settings=settings,
            naming=naming,
            host=app.containers,
            network="front",
            folders=sign_in.files,
            ready=queue.container,
        ),
    )

    # The work: GPU hosts of our own for the day, serverless ones beside them.
    gpu = GpuFleet(
        "gpu",
        GpuFleetArgs(
            settings=settings, naming=naming, providers=providers, shared=shared, app=app, queue=queue, storage=storage
        ),
    )
    serverless = Serverless(
        "serverless",
        ServerlessArgs(
            settings=settings, naming=naming, host=app.containers, network="front", queue=queue, shared=shared
        ),
    )

    # What watches all this beside the console, if it is wanted.
    Monitoring(
        "monitoring",
        MonitoringArgs(
            settings=settings,
            naming=naming,
            host=app.containers,
            network="front",
            queue=queue,
            tailnet_address=app.tailnet_address,
        ),
    )

    # What is kept of all this, and when.
    Backups("backups", BackupsArgs(settings=settings, naming=naming, app=app, storage=storage))

    # The description of it all, the console that reads it, and the door that leads to everything.
    document = stack_document(
        settings,
        naming,
        hosts=[app_host_facts(settings, naming, app.machine.address, app.tailnet_address), *gpu.hosts],
        containers=[*app_containers(settings, naming), *gpu.containers, *serverless.containers],
        schedules=schedules_of(settings, naming),
        deployments=serverless.deployments,
    )
    Admin(
        "admin",
        AdminArgs(
            settings=settings,
            naming=naming,
            host=app.containers,
            network="front",
            door_secret=web_uis.door_secret,
            document=document.apply(lambda outputs: outputs.model_dump_json(indent=1)),
            folders=queue.files,
            ready=queue.container,
        ),
    )
    Edge(
        "nginx",
        EdgeArgs(
            settings=settings,
            naming=naming,
            host=app.containers,
            network="front",
            sign_in=sign_in,
            admin_address=f"admin:{ADMIN_PORT}",
            workspaces=web_uis.addresses,
            door_secret=web_uis.door_secret,
            behind=[queue.container],
            cloudflare=providers.cloudflare,
        ),
    )
    return document.apply(lambda outputs: outputs.model_dump(mode="json"))
