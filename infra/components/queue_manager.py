"""The queue manager, and the credentials that it knows people, workers and the console by."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from infra.components.container_host import FRONT, REDIS, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.service_container import USER, Mount, Port, ServiceContainerArgs, service_container
from infra.environment import environment_of
from infra.stack import Stack
from services.domain.names import Role
from services.queue_manager.settings import QueueManagerSettings

PORT = 8180
CONFIGURATION = "/etc/comfyume/queue"
CREDENTIALS = f"{CONFIGURATION}/credentials"
SECRETS = "/etc/comfyume/secrets/queue-manager"
DATA = "/srv/comfyume/queue"


@dataclass(frozen=True, kw_only=True)
class QueueManagerArgs:
    """`redis_url` is secret; `tailnet_address` is where workers on other machines find the queue."""

    stack: Stack
    host: ContainerHost
    redis_url: pulumi.Input[str]
    redis: docker.Container
    tailnet_address: pulumi.Input[str]


class QueueManager(pulumi.ComponentResource):
    """`container` is healthy when Redis answers it; `files` makes the folder that credentials are put into."""

    container: docker.Container
    files: pulumi.Resource
    url: pulumi.Output[str]
    """For workers on other machines of the tailnet."""

    def __init__(self, name: str, args: QueueManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:QueueManager", name, None, opts)
        self.files = host_files(
            f"{name}-files",
            args.host.machine,
            [HostFile(path=f"{SECRETS}/QUEUE_REDIS_URL", content=args.redis_url)],
            self,
            folders=[
                HostFolder(path=CREDENTIALS, mode="0700", owner=USER),
                HostFolder(path=SECRETS),
                HostFolder(path=DATA, mode="0700", owner=USER),
            ],
        )
        image = args.host.service_image("queue_manager")
        queue = args.stack.settings.queue
        self.container = service_container(
            name,
            ServiceContainerArgs(
                container_name=args.stack.naming.of("queue-manager"),
                image=image.reference,
                limit=args.stack.settings.limits.queue_manager,
                networks=[(args.host.network_names[network], "queue-manager") for network in (FRONT, REDIS)],
                environment=environment_of(
                    QueueManagerSettings,
                    {
                        "QUEUE_CREDENTIALS_DIR": "/etc/comfyume/credentials",
                        "QUEUE_WAITING_CAP": str(queue.waiting_cap),
                        "QUEUE_RUNNING_CAP": str(queue.running_cap),
                        "QUEUE_LEASE_SECONDS": str(queue.lease_seconds),
                    },
                ),
                mounts=[
                    Mount(source=CONFIGURATION, target="/etc/comfyume"),
                    Mount(source=SECRETS, target="/run/secrets"),
                    Mount(source=DATA, target="/data", read_only=False),
                ],
                ports=[Port(internal=PORT, external=PORT, address=args.tailnet_address)],
                labels=args.stack.naming.labels,
            ),
            args.host.options(self, after=[self.files, image.built, args.redis]),
        )
        self.url = pulumi.Output.concat("http://", args.tailnet_address, f":{PORT}")
        self.register_outputs({"url": self.url})


def new_token(name: str, parent: pulumi.Resource, keepers: Mapping[str, str] | None = None) -> pulumi.Output[str]:
    """A credential for the queue manager: `cme_` and 43 characters, a Pulumi secret."""
    random_part = random.RandomPassword(
        name, length=43, special=False, keepers=keepers, opts=pulumi.ResourceOptions(parent=parent)
    )
    return pulumi.Output.secret(pulumi.Output.concat("cme_", random_part.result))


def credential_file(role: Role, name: str, token: pulumi.Input[str]) -> HostFile:
    """What makes the queue manager know `name`: the file appears and it is let in; the file goes and it is not."""
    content = pulumi.Output.json_dumps({"role": role.value, "name": name, "token": token})
    return HostFile(path=f"{CREDENTIALS}/{role.value}-{name}.json", content=content)
