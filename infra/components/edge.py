"""The front door: the domain's record, sign-in and nginx."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi
import pulumi_cloudflare as cloudflare
import pulumi_docker as docker
import pulumi_random as random
from pydantic import SecretStr

from infra.components.container_host import FRONT, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.person import ACCOUNTS, PEOPLE, PersonArgs, person_on_host
from infra.components.queue_manager import PORT as QUEUE_PORT
from infra.components.service_container import USER, Mount, Port, ServiceContainerArgs, service_container
from infra.environment import environment_of
from infra.stack import Stack
from infra.templating import render
from services.auth.settings import AuthSettings
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role

AUTH = "/etc/comfyume/auth"
EDGE = "/etc/comfyume/edge"
AUTH_ADDRESS = "auth:8170"
DOCKER_DNS = "127.0.0.11"
EVERYBODY = "0.0.0.0"


@dataclass(frozen=True, kw_only=True)
class SignInArgs:
    """`folders` makes the credentials' folder, which people's files are put into."""

    stack: Stack
    host: ContainerHost
    folders: pulumi.Resource


class SignIn(pulumi.ComponentResource):
    """The sign-in service with its keys, and the accounts of those who steer the room."""

    container: docker.Container
    files: pulumi.Resource

    def __init__(self, name: str, args: SignInArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:SignIn", name, None, opts)
        newest = args.stack.settings.session_key
        keys = [
            random.RandomPassword(
                f"session-key-{number}", length=64, special=False, opts=pulumi.ResourceOptions(parent=self)
            ).result
            for number in range(newest, max(newest - 2, 0), -1)
        ]
        self.files = host_files(
            f"{name}-files",
            args.host.machine,
            [
                HostFile(
                    path=f"{AUTH}/session-keys",
                    content=pulumi.Output.all(*keys).apply(lambda lines: "\n".join(lines) + "\n"),
                )
            ],
            self,
            folders=[
                HostFolder(path=AUTH),
                HostFolder(path=ACCOUNTS, mode="0700", owner=USER),
                HostFolder(path=PEOPLE, mode="0700"),
            ],
            after=[args.folders],
        )
        for person, wanted in sorted(args.stack.settings.staff.items()):
            person_on_host(
                PersonArgs(
                    name=person, role=Role(wanted.role), rekeyed=wanted.rekeyed, machine=args.host.machine,
                    after=[self.files],
                ),
                self,
            )  # fmt: skip
        image = args.host.service_image("auth")
        self.container = service_container(
            name,
            ServiceContainerArgs(
                container_name=args.stack.naming.of("auth"),
                image=image.reference,
                limit=args.stack.settings.limits.auth,
                networks=[(args.host.network_names[FRONT], "auth")],
                environment=environment_of(
                    AuthSettings,
                    {
                        "AUTH_ACCOUNTS_DIR": "/etc/comfyume/accounts",
                        "AUTH_SESSION_KEYS_FILE": "/etc/comfyume/session-keys",
                        "AUTH_QUEUE_URL": f"http://queue-manager:{QUEUE_PORT}",
                        "AUTH_WORKSHOP_TITLE": args.stack.settings.workshop_title,
                    },
                ),
                mounts=[Mount(source=AUTH, target="/etc/comfyume")],
                labels=args.stack.naming.labels,
            ),
            args.host.options(self, after=[self.files, image.built]),
        )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """Addresses are such of the container network; `behind` are the containers that the door leads to."""

    stack: Stack
    host: ContainerHost
    sign_in: SignIn
    admin_address: str
    workspaces: Mapping[str, str]
    door_secret: pulumi.Output[str]
    behind: list[pulumi.Resource]


class Edge(pulumi.ComponentResource):
    """nginx with its configuration and certificate, and the record that leads to it."""

    container: docker.Container

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:Edge", name, None, opts)
        self._args = args
        cloudflare.DnsRecord(
            "dns",
            zone_id=args.stack.settings.dns.zone_id,
            name=args.stack.settings.domain,
            type="A",
            ttl=args.stack.settings.dns.ttl_seconds,
            content=args.host.machine.address,
            proxied=False,
            comment=f"{args.stack.naming.of('app')}, managed by Pulumi",
            opts=pulumi.ResourceOptions(parent=self, provider=args.stack.providers.cloudflare),
        )
        container_name = args.stack.naming.of("nginx")
        files = host_files(
            "front-door",
            args.host.machine,
            [
                HostFile(path=f"{EDGE}/certificate.pem", content=args.stack.settings.certificate),
                HostFile(
                    path=f"{EDGE}/certificate-key.pem",
                    content=pulumi.Output.secret(args.stack.settings.certificate_key.get_secret_value()),
                ),
                HostFile(path=f"{EDGE}/nginx.conf", content=args.door_secret.apply(self._configuration)),
            ],
            self,
            folders=[HostFolder(path=EDGE)],
            then=_RELOAD.format(container=container_name),
        )
        image = args.host.service_image("nginx")
        self.container = service_container(
            name,
            ServiceContainerArgs(
                container_name=container_name,
                image=image.reference,
                limit=args.stack.settings.limits.nginx,
                networks=[(args.host.network_names[FRONT], "nginx")],
                mounts=[Mount(source=EDGE, target="/etc/comfyume")],
                tmpfs={"/run/comfyume": "rw,noexec,nosuid,size=128m,uid=10001,gid=10001"},
                ports=[
                    Port(internal=80, external=80, address=EVERYBODY),
                    Port(internal=443, external=443, address=EVERYBODY),
                ],
                health=["CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/443"],
                labels=args.stack.naming.labels,
            ),
            args.host.options(self, after=[files, image.built, args.sign_in.container, *args.behind]),
        )
        self.register_outputs({"url": f"https://{args.stack.settings.domain}/"})

    def _configuration(self, door_secret: str) -> str:
        """nginx's configuration; sorted, so that one more participant is one more block and nothing else."""
        door = FrontDoor(
            public_host=self._args.stack.settings.domain,
            certificate=PurePosixPath("/etc/comfyume/certificate.pem"),
            certificate_key=PurePosixPath("/etc/comfyume/certificate-key.pem"),
            run_dir=PurePosixPath("/run/comfyume"),
            auth=AUTH_ADDRESS,
            queue_manager=f"queue-manager:{QUEUE_PORT}",
            admin=self._args.admin_address,
            workspaces=[
                WorkspaceAddress(name=person, address=address)
                for person, address in sorted(self._args.workspaces.items())
            ],
            door_secret=SecretStr(door_secret),
            resolver=DOCKER_DNS,
        )
        return render("nginx/nginx.conf.j2", door=door)


_RELOAD = """
if [ "$(docker inspect --format '{{{{.State.Running}}}}' {container} 2>/dev/null)" = true ]; then
  docker exec {container} nginx -t -q -p /run/comfyume -c /etc/comfyume/nginx.conf ||
    fail "nginx does not take the new configuration and goes on with the old one"
  docker kill --signal HUP {container} >/dev/null
fi
"""
"""Open sockets stay open: nginx lets its old workers serve them until they close."""
