"""How every container of the workshop runs: unprivileged, read-only, limited, healthy before anybody builds on it.

The one place that makes a Docker container, so that no service can be forgotten by a rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from infra.settings_sections import Limit

USER = "10001:10001"
"""The unprivileged user of all images (images/python/Dockerfile); third-party images run as it, too."""

WAIT_SECONDS = 180
"""How long a container may take to become healthy before its deployment fails."""

_SILENT = ["*"]
"""Docker's provider records a changed health check or tmpfs without applying it, and calls a container well whose
start failed; only the wildcard turns both into a replacement (facts: pulumi-docker, engine)."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder or file of the host inside the container."""

    source: pulumi.Input[str]
    target: str
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the container on an address of the host."""

    internal: int
    external: int
    address: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ServiceContainerArgs:
    """What one container needs. `networks` maps a network's name to the name that it has there."""

    container_name: str
    image: pulumi.Input[str]
    limit: Limit
    networks: Sequence[tuple[pulumi.Input[str], str]]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    ports: Sequence[Port] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] | None = None
    health: Sequence[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 30
    gpus: str | None = None
    user: str = USER


def service_container(name: str, args: ServiceContainerArgs, opts: pulumi.ResourceOptions) -> docker.Container:
    """The container; `opts` bring the host's provider, `deleted_with` and `replace_with`."""
    return docker.Container(
        name,
        name=args.container_name,
        image=args.image,
        command=list(args.command) if args.command else None,
        user=args.user,
        envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(args.environment.items())],
        read_only=True,
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        memory=args.limit.memory_mb,
        memory_swap=args.limit.memory_mb,
        cpus=str(args.limit.cpus),
        tmpfs={"/tmp": "rw,noexec,nosuid,size=64m", **args.tmpfs},  # noqa: S108 - a mount of the container's own
        mounts=[
            docker.ContainerMountArgs(type="bind", source=mount.source, target=mount.target, read_only=mount.read_only)
            for mount in args.mounts
        ],
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(name=network, aliases=[alias]) for network, alias in args.networks
        ],
        ports=[
            docker.ContainerPortArgs(internal=port.internal, external=port.external, ip=port.address, protocol="tcp")
            for port in args.ports
        ],
        healthcheck=_health(args.health),
        restart="unless-stopped",
        must_run=True,
        wait=True,
        wait_timeout=WAIT_SECONDS,
        destroy_grace_seconds=args.stop_seconds,
        log_driver="json-file",
        log_opts={"max-size": "10m", "max-file": "3"},
        labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in sorted(args.labels.items())],
        gpus=args.gpus,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(replace_on_changes=_SILENT)),
    )


def _health(command: Sequence[str] | None) -> docker.ContainerHealthcheckArgs | None:
    """None: the image brings its own, with the same patience: a host that starts twenty containers is slow to look."""
    if command is None:
        return None
    return docker.ContainerHealthcheckArgs(
        tests=list(command), interval="5s", timeout="15s", start_period="60s", retries=4
    )
