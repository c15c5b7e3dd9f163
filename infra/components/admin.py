"""The console: a container that is given the stack's own description and one credential of the queue."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from infra.components.container_host import FRONT, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.queue_manager import PORT as QUEUE_PORT
from infra.components.queue_manager import credential_file, new_token
from infra.components.service_container import Mount, ServiceContainerArgs, service_container
from infra.environment import environment_of
from infra.stack import Stack
from services.admin.settings import AdminSettings
from services.domain.names import Role

PORT = 8160
CONFIGURATION = "/etc/comfyume/admin"
SECRETS = "/etc/comfyume/secrets/admin"
CREDENTIAL = "console"


@dataclass(frozen=True, kw_only=True)
class AdminArgs:
    """`document` is StackOutputs as JSON; the console reads it again when it changes."""

    stack: Stack
    host: ContainerHost
    door_secret: pulumi.Output[str]
    document: pulumi.Output[str]
    folders: pulumi.Resource
    ready: docker.Container


class Admin(pulumi.ComponentResource):
    """The container, and the files that it reads: the document, its token, the door's secret."""

    container: docker.Container

    def __init__(self, name: str, args: AdminArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:Admin", name, None, opts)
        token = new_token(f"token-{CREDENTIAL}", self)
        files = host_files(
            f"{name}-files",
            args.host.machine,
            [
                HostFile(path=f"{CONFIGURATION}/token", content=token),
                HostFile(path=f"{SECRETS}/ADMIN_DOOR_SECRET", content=args.door_secret),
                credential_file(Role.OPERATOR, CREDENTIAL, token),
            ],
            self,
            folders=[HostFolder(path=CONFIGURATION), HostFolder(path=SECRETS)],
            after=[args.folders],
        )
        # Apart from the secrets: this one changes with every machine that comes or goes, and may be read in a preview.
        document = host_files(
            f"{name}-document",
            args.host.machine,
            [HostFile(path=f"{CONFIGURATION}/stack-outputs.json", content=args.document, mode="0444")],
            self,
            after=[files],
        )
        image = args.host.service_image("admin")
        self.container = service_container(
            name,
            ServiceContainerArgs(
                container_name=args.stack.naming.of("admin"),
                image=image.reference,
                limit=args.stack.settings.limits.admin,
                networks=[(args.host.network_names[FRONT], "admin")],
                environment=environment_of(
                    AdminSettings,
                    {
                        "ADMIN_QUEUE_URL": f"http://queue-manager:{QUEUE_PORT}",
                        "ADMIN_TOKEN_FILE": "/etc/comfyume/token",
                        "ADMIN_STACK_OUTPUTS_FILE": "/etc/comfyume/stack-outputs.json",
                    },
                ),
                mounts=[
                    Mount(source=CONFIGURATION, target="/etc/comfyume"),
                    Mount(source=SECRETS, target="/run/secrets"),
                ],
                labels=args.stack.naming.labels,
            ),
            args.host.options(self, after=[document, image.built, args.ready]),
        )
        self.register_outputs({})
