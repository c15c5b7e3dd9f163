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
from infra.stack import Stack


def declare(settings: StackSettings, stack_name: str) -> pulumi.Output[dict[str, object]]:
    """Declare everything of one stack; gives the document that describes it (services/domain/stack_outputs.py)."""
    stack = Stack(settings, Naming(NAMESPACE, stack_name), Providers(settings))

    # Where things are kept: buckets in Europe, and the filesystem that all GPU hosts share.
    storage = ObjectStorage("storage", ObjectStorageArgs(stack=stack))
    shared = SharedFilesystem("shared-filesystem", SharedFilesystemArgs(stack=stack))

    # The one cheap machine, from bare to an engine that runs containers on two networks.
    app = AppHost("app-host", AppHostArgs(stack=stack))
    host, tailnet = app.containers, app.tailnet_address

    # The queue: Redis, which nobody but the queue manager can reach, and the queue manager.
    redis = StateStore("redis", StateStoreArgs(stack=stack, host=host))
    queue = QueueManager(
        "queue-manager",
        QueueManagerArgs(stack=stack, host=host, redis_url=redis.url, redis=redis.container, tailnet_address=tailnet),
    )

    # The people: sign-in, and a web UI for each participant.
    sign_in = SignIn("auth", SignInArgs(stack=stack, host=host, folders=queue.files))
    web_uis = FrontendPool(
        "frontends", FrontendPoolArgs(stack=stack, host=host, folders=sign_in.files, ready=queue.container)
    )

    # The work: GPU hosts of our own for the day, serverless ones beside them.
    gpu = GpuFleet("gpu", GpuFleetArgs(stack=stack, shared=shared, app=app, queue=queue, storage=storage))
    serverless = Serverless("serverless", ServerlessArgs(stack=stack, host=host, queue=queue, shared=shared))

    # What is kept of all this and when, and what watches it beside the console.
    Backups("backups", BackupsArgs(stack=stack, app=app, storage=storage))
    Monitoring("monitoring", MonitoringArgs(stack=stack, host=host, queue=queue, tailnet_address=tailnet))

    # The description of it all, the console that reads it, and the door that leads to everything.
    document = stack_document(
        stack,
        hosts=[app_host_facts(stack, app.machine.address, tailnet), *gpu.hosts],
        containers=[*app_containers(stack), *gpu.containers, *serverless.containers],
        schedules=schedules_of(stack),
        deployments=serverless.deployments,
    )
    Admin(
        "admin",
        AdminArgs(
            stack=stack,
            host=host,
            door_secret=web_uis.door_secret,
            document=document.apply(lambda outputs: outputs.model_dump_json(indent=1)),
            folders=queue.files,
            ready=queue.container,
        ),
    )
    Edge(
        "nginx",
        EdgeArgs(
            stack=stack,
            host=host,
            sign_in=sign_in,
            admin_address=f"admin:{ADMIN_PORT}",
            workspaces=web_uis.addresses,
            door_secret=web_uis.door_secret,
            behind=[queue.container],
        ),
    )
    return document.apply(lambda outputs: outputs.model_dump(mode="json"))
