"""The participants' web UIs: one container each, named by person, started in four batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from infra.components.container_host import FRONT, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.person import PersonArgs, person_on_host
from infra.components.queue_manager import PORT as QUEUE_PORT
from infra.components.service_container import USER, Mount, ServiceContainerArgs, service_container
from infra.environment import environment_of
from infra.stack import Stack
from services.domain.names import Role
from services.frontend.settings import FrontendSettings

PORT = 8188
BATCHES = 4
"""Twenty at once drove the earlier system's host into a hard reset (facts: predecessor, incident 118)."""

SECRETS = "/etc/comfyume/secrets/frontend"
CONFIGURATION = "/etc/comfyume/frontends"
WORKSPACES = "/srv/comfyume/workspaces"


@dataclass(frozen=True, kw_only=True)
class FrontendPoolArgs:
    """`ready` is what has to be well before the first web UI starts: the queue manager."""

    stack: Stack
    host: ContainerHost
    folders: pulumi.Resource
    """What makes the folders of accounts and credentials."""
    ready: docker.Container


class FrontendPool(pulumi.ComponentResource):
    """`addresses` by participant, as nginx reaches them; `door_secret` is what they demand of every request."""

    addresses: Mapping[str, str]
    door_secret: pulumi.Output[str]
    containers: Mapping[str, docker.Container]

    def __init__(self, name: str, args: FrontendPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:FrontendPool", name, None, opts)
        self._args = args
        secret = random.RandomPassword(
            "door-secret", length=40, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.door_secret = secret.result
        self._files = host_files(
            f"{name}-files",
            args.host.machine,
            [HostFile(path=f"{SECRETS}/FRONTEND_DOOR_SECRET", content=self.door_secret)],
            self,
            folders=[
                HostFolder(path=SECRETS), HostFolder(path=CONFIGURATION), HostFolder(path=WORKSPACES),
            ],
            after=[args.folders],
        )  # fmt: skip
        self.containers = self._started()
        self.addresses = {person: f"frontend-{person}:{PORT}" for person in self.containers}
        self.register_outputs({"addresses": dict(self.addresses)})

    def _started(self) -> dict[str, docker.Container]:
        """A batch waits until the one before it is healthy; who comes or goes shifts no container, only its turn."""
        containers: dict[str, docker.Container] = {}
        people = sorted(self._args.stack.settings.participants)
        before: list[pulumi.Resource] = [self._args.ready]
        for batch in (people[start::BATCHES] for start in range(BATCHES)):
            batch_containers = {person: self._web_ui(person, before) for person in batch}
            containers |= batch_containers
            before = [*batch_containers.values()] or before
        return containers

    def _web_ui(self, person: str, before: list[pulumi.Resource]) -> docker.Container:
        args = self._args
        files = person_on_host(
            PersonArgs(
                name=person,
                role=Role.PARTICIPANT,
                rekeyed=args.stack.settings.participants[person].rekeyed,
                machine=args.host.machine,
                folders=[
                    HostFolder(path=f"{CONFIGURATION}/{person}"),
                    HostFolder(path=f"{WORKSPACES}/{person}", mode="0700", owner=USER),
                ],
                token_file=f"{CONFIGURATION}/{person}/token",
                after=[self._files],
            ),
            self,
        )
        image = args.host.service_image("frontend")
        return service_container(
            f"frontend-{person}",
            ServiceContainerArgs(
                container_name=args.stack.naming.of("frontend", person),
                image=image.reference,
                limit=args.stack.settings.limits.frontend,
                networks=[(args.host.network_names[FRONT], f"frontend-{person}")],
                environment=environment_of(
                    FrontendSettings,
                    {
                        "FRONTEND_PARTICIPANT": person,
                        "FRONTEND_QUEUE_URL": f"http://queue-manager:{QUEUE_PORT}",
                        "FRONTEND_TOKEN_FILE": "/etc/comfyume/token",
                    },
                ),
                mounts=[
                    Mount(source=f"{CONFIGURATION}/{person}", target="/etc/comfyume"),
                    Mount(source=SECRETS, target="/run/secrets"),
                    Mount(source=f"{WORKSPACES}/{person}", target="/data", read_only=False),
                ],
                labels=args.stack.naming.labels,
            ),
            args.host.options(self, after=[files, image.built, *before]),
        )
