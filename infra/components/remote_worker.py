"""A worker on the app host whose ComfyUI is somewhere else: how serverless containers are used."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from infra.components.container_host import FRONT, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.queue_manager import PORT as QUEUE_PORT
from infra.components.queue_manager import QueueManager, credential_file, new_token
from infra.components.service_container import USER, Mount, ServiceContainerArgs, service_container
from infra.environment import environment_of
from infra.naming import Naming
from infra.settings_sections import Limit
from services.domain.names import Role
from services.worker.settings import WorkerSettings

CONFIGURATION = "/etc/comfyume/workers"
DATA = "/srv/comfyume/workers"


@dataclass(frozen=True, kw_only=True)
class RemoteWorkerArgs:
    """`comfyui_url` is where ComfyUI answers, `comfyui_token` what it asks for."""

    name: str
    naming: Naming
    host: ContainerHost
    limit: Limit
    queue: QueueManager
    comfyui_url: pulumi.Input[str]
    comfyui_token: pulumi.Input[str]


def remote_worker(args: RemoteWorkerArgs, parent: pulumi.Resource) -> docker.Container:
    """One worker with its credential, its token for ComfyUI and a folder for cached inputs."""
    token = new_token(f"token-{args.name}", parent)
    folder = f"{CONFIGURATION}/{args.name}"
    files = host_files(
        f"worker-{args.name}-files",
        args.host.machine,
        [
            HostFile(path=f"{folder}/token", content=token),
            HostFile(path=f"{folder}/secrets/WORKER_COMFYUI_TOKEN", content=args.comfyui_token),
            credential_file(Role.WORKER, args.name, token),
        ],
        parent,
        folders=[
            HostFolder(path=CONFIGURATION), HostFolder(path=folder), HostFolder(path=f"{folder}/secrets"),
            HostFolder(path=DATA), HostFolder(path=f"{DATA}/{args.name}", mode="0700", owner=USER),
        ],
        after=[args.queue.files],
    )  # fmt: skip
    image = args.host.service_image("worker")
    return service_container(
        f"worker-{args.name}",
        ServiceContainerArgs(
            container_name=args.naming.of("worker", args.name),
            image=image.reference,
            limit=args.limit,
            networks=[(args.host.network_names[FRONT], f"worker-{args.name}")],
            environment=environment_of(
                WorkerSettings,
                {
                    "WORKER_NAME": args.name,
                    "WORKER_QUEUE_URL": f"http://queue-manager:{QUEUE_PORT}",
                    "WORKER_TOKEN_FILE": "/etc/comfyume/token",
                    "WORKER_BACKEND": "url",
                    "WORKER_COMFYUI_URL": args.comfyui_url,
                },
            ),
            mounts=[
                Mount(source=folder, target="/etc/comfyume"),
                Mount(source=f"{folder}/secrets", target="/run/secrets"),
                Mount(source=f"{DATA}/{args.name}", target="/data", read_only=False),
            ],
            # A replica that sleeps takes minutes to answer; the worker is up before it is.
            health=["CMD", "python", "/usr/local/bin/healthy.py", "http://127.0.0.1:8185/healthz"],
            labels=args.naming.labels,
        ),
        args.host.options(parent, after=[files, image.built, args.queue.container]),
    )
