"""What watches the workshop beside the console, all of it optional: Prometheus, Grafana, Portainer.

They listen on the app host's tailnet address, never on the public one. Their images come from a registry, by digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from infra.components.container_host import FRONT, ContainerHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.person import PEOPLE
from infra.components.queue_manager import QueueManager, credential_file, new_token
from infra.components.service_container import USER, Mount, Port, ServiceContainerArgs, service_container
from infra.stack import Stack
from infra.templating import TEMPLATES
from services.domain.names import Role

CONFIGURATION = "/etc/comfyume/monitoring"
DATA = "/srv/comfyume/monitoring"
GRAFANA_PORT, PORTAINER_PORT = 3000, 9443
DOCKER_SOCKET = "/var/run/docker.sock"
KEPT = "15d"
"""For how long Prometheus keeps its numbers: two weeks of workshops."""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """`tailnet_address` is where the operator's browser finds the pages."""

    stack: Stack
    host: ContainerHost
    queue: QueueManager
    tailnet_address: pulumi.Output[str]


class Monitoring(pulumi.ComponentResource):
    """Only what the settings ask for; nothing else waits for it."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:services:Monitoring", name, None, opts)
        self._args = args
        wanted = args.stack.settings.monitoring
        if wanted.prometheus:
            self._prometheus()
        if wanted.grafana:
            self._grafana()
        if wanted.portainer:
            self._portainer()
        self.register_outputs({})

    def _prometheus(self) -> None:
        token = new_token("token-prometheus", self)
        files = self._files(
            "prometheus",
            [
                _template("prometheus", "prometheus.yml"),
                _template("prometheus", "alerts.yml"),
                HostFile(path=f"{CONFIGURATION}/prometheus/token", content=token),
                # The numbers are about everybody in the room: an instructor may see them.
                credential_file(Role.INSTRUCTOR, "prometheus", token),
            ],
        )
        self._container(
            "prometheus",
            files,
            command=[
                "--config.file=/etc/comfyume/prometheus.yml", "--storage.tsdb.path=/data",
                f"--storage.tsdb.retention.time={KEPT}", "--web.listen-address=:9090",
            ],
            health=["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:9090/-/ready"],
        )  # fmt: skip

    def _grafana(self) -> None:
        password = random.RandomPassword(
            "password-grafana", length=24, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        folder = f"{CONFIGURATION}/grafana"
        files = self._files(
            "grafana",
            [
                _template("grafana", "datasource.yml", into="provisioning/datasources/"),
                _template("grafana", "dashboards.yml", into="provisioning/dashboards/"),
                _template("grafana", "room.json", into="dashboards/"),
                HostFile(path=f"{folder}/admin-password", content=password.result),
                HostFile(path=f"{PEOPLE}/grafana/password", content=password.result, owner="root:root"),
            ],
            [
                *(HostFolder(path=f"{folder}/{sub}") for sub in _GRAFANA_FOLDERS),
                HostFolder(path=f"{PEOPLE}/grafana", mode="0700"),
            ],
        )
        self._container(
            "grafana",
            files,
            environment={
                "GF_PATHS_DATA": "/data",
                "GF_PATHS_PROVISIONING": "/etc/comfyume/provisioning",
                "GF_SECURITY_ADMIN_PASSWORD__FILE": "/etc/comfyume/admin-password",
                "GF_ANALYTICS_REPORTING_ENABLED": "false",
                "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
                "GF_USERS_DEFAULT_THEME": "dark",
            },
            ports=[Port(internal=3000, external=GRAFANA_PORT, address=self._args.tailnet_address)],
            health=["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:3000/api/health"],
        )

    def _portainer(self) -> None:
        """The one container that runs as root: it holds the engine's socket, which is root's power anyhow."""
        files = self._files("portainer", [])
        self._container(
            "portainer",
            files,
            mounts=[Mount(source=DOCKER_SOCKET, target=DOCKER_SOCKET, read_only=False)],
            ports=[Port(internal=9443, external=PORTAINER_PORT, address=self._args.tailnet_address)],
            user="0:0",
        )

    def _files(self, name: str, files: Sequence[HostFile], folders: Sequence[HostFolder] = ()) -> pulumi.Resource:
        data = HostFolder(path=f"{DATA}/{name}", mode="0700", owner=USER)
        return host_files(
            f"{name}-files",
            self._args.host.machine,
            files,
            self,
            folders=[
                HostFolder(path=CONFIGURATION), HostFolder(path=f"{CONFIGURATION}/{name}"), HostFolder(path=DATA), data,
                *folders,
            ],
            after=[self._args.queue.files],
        )  # fmt: skip

    def _container(
        self, name: str, files: pulumi.Resource, *, command: Sequence[str] | None = None,
        environment: dict[str, str] | None = None, mounts: Sequence[Mount] = (), ports: Sequence[Port] = (),
        health: Sequence[str] | None = None, user: str = USER,
    ) -> None:  # fmt: skip
        args = self._args
        service_container(
            name,
            ServiceContainerArgs(
                container_name=args.stack.naming.of(name),
                image=args.host.foreign_image(name).repo_digest,
                limit=args.stack.settings.limits.monitoring,
                networks=[(args.host.network_names[FRONT], name)],
                command=command,
                environment=environment or {},
                mounts=[
                    Mount(source=f"{CONFIGURATION}/{name}", target="/etc/comfyume"),
                    Mount(source=f"{DATA}/{name}", target="/data", read_only=False),
                    *mounts,
                ],
                ports=ports,
                health=health,
                user=user,
                labels=args.stack.naming.labels,
            ),
            args.host.options(self, after=[files, args.queue.container]),
        )


_GRAFANA_FOLDERS = ("provisioning", "provisioning/datasources", "provisioning/dashboards", "dashboards")


def _template(name: str, file: str, into: str = "") -> HostFile:
    """A file as it lies in infra/templates/monitoring; nothing in it is secret."""
    content = (TEMPLATES / "monitoring" / file).read_text(encoding="utf-8")
    return HostFile(path=f"{CONFIGURATION}/{name}/{into}{file}", content=content, mode="0444")
