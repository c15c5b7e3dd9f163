"""The stack's outputs: one typed document, exported for the verbs and given to the console as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.components.admin import PORT as ADMIN_PORT
from infra.components.edge import AUTH_ADDRESS
from infra.components.frontend_pool import PORT as FRONTEND_PORT
from infra.components.monitoring import GRAFANA_PORT, PORTAINER_PORT
from infra.components.queue_manager import PORT as QUEUE_PORT
from infra.costs import hetzner_euro_an_hour
from infra.naming import Naming
from infra.settings import StackSettings
from infra.settings_sections import Limit
from infra.stack import Stack
from services.domain.stack_outputs import (
    BucketOutput,
    ContainerOutput,
    DeploymentOutput,
    HostOutput,
    LinkOutput,
    ScheduleOutput,
    StackOutputs,
)

EXPORT = "workshop"
"""Name of the one output."""


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What only the machine itself tells: its addresses."""

    output: HostOutput
    """With empty addresses."""
    address: pulumi.Input[str]
    tailnet_address: pulumi.Input[str]


def app_host_facts(stack: Stack, address: pulumi.Input[str], tailnet_address: pulumi.Input[str]) -> HostFacts:
    """The app host as the document describes it."""
    settings, naming = stack.settings, stack.naming
    return HostFacts(
        output=HostOutput(
            name=naming.of("app"),
            role="app",
            provider="hetzner",
            machine_type=settings.app_host.server_type,
            location=settings.app_host.location,
            address="",
            tailnet_address="",
            price_per_hour=hetzner_euro_an_hour(settings.app_host.server_type),
        ),
        address=address,
        tailnet_address=tailnet_address,
    )


def stack_document(
    stack: Stack, *, hosts: Sequence[HostFacts], containers: Sequence[ContainerOutput],
    schedules: Sequence[ScheduleOutput], deployments: Sequence[pulumi.Output[DeploymentOutput]],
) -> pulumi.Output[StackOutputs]:  # fmt: skip
    """The document as soon as every machine has its addresses."""
    settings, naming = stack.settings, stack.naming

    def assembled(known: dict[str, Any]) -> StackOutputs:
        return StackOutputs(
            project=naming.project,
            stack=naming.stack,
            public_url=f"https://{settings.domain}/",
            participant_url=f"https://{settings.domain}/{{name}}/",
            queue_url=f"https://{settings.domain}/api/",
            hosts=[
                host.output.model_copy(update={"address": address, "tailnet_address": tailnet_address})
                for host, (address, tailnet_address) in zip(hosts, known["addresses"], strict=True)
            ],
            containers=list(containers),
            frontend=_frontend(settings, naming),
            buckets=_buckets(settings),
            schedules=list(schedules),
            deployments=known["deployments"],
            links=_links(settings, known["addresses"][0][1]),
        )

    return pulumi.Output.all(
        addresses=pulumi.Output.all(*(pulumi.Output.all(host.address, host.tailnet_address) for host in hosts)),
        deployments=pulumi.Output.all(*deployments),
    ).apply(assembled)


def app_containers(stack: Stack) -> list[ContainerOutput]:
    """The services on the app host, without the participants' web UIs."""
    settings, naming = stack.settings, stack.naming
    limits, queue = settings.limits, f"queue-manager:{QUEUE_PORT}/readyz"
    return [
        _container(naming, "redis", limits.redis, "redis"),
        _container(naming, "queue-manager", limits.queue_manager, "queue_manager", queue),
        _container(naming, "auth", limits.auth, "auth", f"{AUTH_ADDRESS}/healthz"),
        _container(naming, "admin", limits.admin, "admin", f"admin:{ADMIN_PORT}/healthz"),
        _container(naming, "nginx", limits.nginx, "nginx"),
    ]


def _container(naming: Naming, role: str, limit: Limit, service: str, health: str | None = None) -> ContainerOutput:
    return ContainerOutput(
        name=naming.of(role),
        role=role,
        host=naming.of("app"),
        image=service,
        memory_mb=limit.memory_mb,
        cpus=limit.cpus,
        health_url=f"http://{health}" if health else None,
    )


def _frontend(settings: StackSettings, naming: Naming) -> ContainerOutput:
    address = f"http://frontend-{{name}}:{FRONTEND_PORT}/healthz"
    limit = settings.limits.frontend
    return ContainerOutput(
        name=naming.of("frontend", "{name}"),
        role="frontend",
        host=naming.of("app"),
        image="frontend",
        memory_mb=limit.memory_mb,
        cpus=limit.cpus,
        health_url=address,
    )


def _buckets(settings: StackSettings) -> list[BucketOutput]:
    storage = settings.object_storage
    return [
        BucketOutput(
            role=role,
            name=bucket.name,
            endpoint=storage.endpoint,
            locked_days=bucket.locked_days,
        )
        for role, bucket in storage.buckets.by_role().items()
    ]


def _links(settings: StackSettings, tailnet_address: str) -> list[LinkOutput]:
    """Public pages, and those that only the tailnet reaches."""
    optional = [
        ("Grafana", settings.monitoring.grafana, f"http://{tailnet_address}:{GRAFANA_PORT}/"),
        ("Portainer", settings.monitoring.portainer, f"https://{tailnet_address}:{PORTAINER_PORT}/"),
    ]
    return [
        LinkOutput(title="Workshop", url=f"https://{settings.domain}/"),
        LinkOutput(title="Status", url=f"https://{settings.domain}/health"),
        *(LinkOutput(title=title, url=url) for title, wanted, url in optional if wanted),
    ]
