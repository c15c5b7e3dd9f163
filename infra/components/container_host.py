"""A machine's Docker engine: how it is reached, its networks, and the image that all services stand on."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from infra.components.machine import Machine
from infra.components.service_image import ServiceImage, ServiceImageArgs
from infra.key_file import private_key_file
from infra.stack import Stack
from infra.versions import image_named

FRONT, REDIS = "front", "redis"
"""The app host's networks: everybody's, and the one that Redis shares with the queue manager alone."""


@dataclass(frozen=True, kw_only=True)
class ContainerHostArgs:
    """`networks` maps a short name to whether it is cut off from the world."""

    stack: Stack
    machine: Machine
    networks: Mapping[str, bool]


class ContainerHost(pulumi.ComponentResource):
    """`network(name)` and `image(service)` are what containers are made of; `options` ties them to the machine."""

    machine: Machine
    provider: docker.Provider
    network_names: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ContainerHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:machines:ContainerHost", name, None, opts)
        self._name, self._args, self.machine = name, args, args.machine
        naming, settings = args.stack.naming, args.stack.settings
        self._images: dict[str, ServiceImage] = {}
        self.provider = docker.Provider(
            f"{name}-docker",
            host=pulumi.Output.concat("ssh://root@", args.machine.address),
            ssh_opts=_ssh_options(args.machine, private_key_file(naming.stack, settings.operator_private_key)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.machine.ready]),
        )
        self.network_names = {
            short: docker.Network(
                f"{name}-network-{short}",
                name=naming.of(args.machine.name, short),
                internal=cut_off,
                labels=[docker.NetworkLabelArgs(label=key, value=value) for key, value in naming.labels.items()],
                opts=self.options(self),
            ).name
            for short, cut_off in args.networks.items()
        }
        self.register_outputs({"networks": dict(self.network_names)})

    def options(self, parent: pulumi.Resource, *, after: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        """For everything that this engine holds."""
        return self.machine.options(parent, after=after, provider=self.provider)

    def service_image(self, service: str) -> ServiceImage:
        """The image of a folder of images/, built here once; all but nginx stand on `images/python`."""
        if service not in self._images:
            self._images[service] = self._build(service)
        return self._images[service]

    def foreign_image(self, name: str) -> docker.RemoteImage:
        """An image that this repository does not build, by its digest."""
        return docker.RemoteImage(
            f"{self._name}-image-{name}",
            name=image_named(name, self._args.stack.settings.image_overrides),
            keep_locally=True,
            opts=self.options(self),
        )

    def _build(self, service: str) -> ServiceImage:
        after: list[pulumi.Resource] = []
        if service in ("python", "nginx"):
            base = "python" if service == "python" else "debian"
            build_args = {"BASE": image_named(base, self._args.stack.settings.image_overrides)}
        else:
            python = self.service_image("python")
            after, build_args = [python.built], {"PYTHON_IMAGE": python.reference}
        return ServiceImage(
            f"{self._name}-image-{service.replace('_', '-')}",
            ServiceImageArgs(
                service=service,
                naming=self._args.stack.naming,
                architecture=self.machine.architecture,
                build_args=build_args,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                providers=[self.provider],
                depends_on=after,
                deleted_with=self.machine.resource,
                replace_with=[self.machine.resource],
            ),
        )


def _ssh_options(machine: Machine, key_file: str) -> list[pulumi.Input[str]]:
    """One argument of ssh a line. The host's key comes from the state, through a command instead of a file."""
    return [
        "-i", key_file,
        "-o", "IdentitiesOnly=yes",
        "-o", "StrictHostKeyChecking=yes",
        "-o", "UserKnownHostsFile=/dev/null",
        "-o", pulumi.Output.concat("KnownHostsCommand=/bin/echo ", machine.address, " ", machine.host_key),
    ]  # fmt: skip
