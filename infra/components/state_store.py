"""Redis: the queue's memory. Its data lie on the host's data volume, so a new container finds what the old one left."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from infra.components.container_host import REDIS, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.service_container import USER, Mount, ServiceContainerArgs, service_container
from infra.protection import is_protected
from infra.stack import Stack
from infra.templating import render

DATA = "/srv/comfyume/redis"
CONFIGURATION = "/etc/comfyume/redis"
USABLE = 0.7
"""Share of the container's memory that Redis may fill: the rest is for rewriting the append-only file."""

STOP_SECONDS = 60
"""Redis writes its file out when it stops; killed earlier it would only have to read longer."""


HEALTH = 'REDISCLI_AUTH="$(cat /etc/redis-comfyume/password)" redis-cli ping | grep -q PONG'


@dataclass(frozen=True, kw_only=True)
class StateStoreArgs:
    """Where Redis runs."""

    stack: Stack
    host: ContainerHost


class StateStore(pulumi.ComponentResource):
    """`url` is secret: it has the password inside."""

    url: pulumi.Output[str]
    container: docker.Container

    def __init__(self, name: str, args: StateStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:StateStore", name, None, opts)
        protect = is_protected(f"{name}-password", args.stack.settings.protection)
        password = random.RandomPassword(
            f"{name}-password", length=48, special=False, opts=pulumi.ResourceOptions(parent=self, protect=protect)
        )
        limit = args.stack.settings.limits.redis
        configuration = password.result.apply(
            lambda secret: render("redis/redis.conf.j2", password=secret, megabytes=int(limit.memory_mb * USABLE))
        )
        files = host_files(
            f"{name}-files",
            args.host.machine,
            [
                HostFile(path=f"{CONFIGURATION}/redis.conf", content=configuration),
                HostFile(path=f"{CONFIGURATION}/password", content=password.result),
            ],
            self,
            folders=[HostFolder(path=CONFIGURATION), HostFolder(path=DATA, mode="0700", owner=USER)],
        )
        image = args.host.foreign_image("redis")
        self.url = pulumi.Output.secret(pulumi.Output.concat("redis://:", password.result, "@redis:6379/0"))
        self.container = service_container(
            name,
            ServiceContainerArgs(
                container_name=args.stack.naming.of("redis"),
                image=image.repo_digest,
                limit=limit,
                command=["redis-server", "/etc/redis-comfyume/redis.conf"],
                networks=[(args.host.network_names[REDIS], "redis")],
                mounts=[
                    Mount(source=CONFIGURATION, target="/etc/redis-comfyume"),
                    Mount(source=DATA, target="/data", read_only=False),
                ],
                health=[
                    "CMD-SHELL",
                    'REDISCLI_AUTH="$(cat /etc/redis-comfyume/password)" redis-cli ping | grep -q PONG',
                ],
                labels=args.stack.naming.labels,
                stop_seconds=STOP_SECONDS,
            ),
            args.host.options(self, after=[files]),
        )
        self.register_outputs({})
