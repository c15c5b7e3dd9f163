"""The app host from bare to ready: the server, its bootstrap over SSH, and its Docker engine with two networks."""

from dataclasses import dataclass, replace

import pulumi
import pulumi_command as command

from infra.components.container_host import FRONT, REDIS, ContainerHost, ContainerHostArgs
from infra.components.host_files import last_line, run_steps
from infra.components.machine import Machine
from infra.components.vps import Vps, VpsArgs
from infra.remote.bootstrap import AppHostFacts, app_host_steps
from infra.remote.ensure.tailnet import AUTH_KEY
from infra.stack import Stack

NETWORKS = {FRONT: False, REDIS: True}
"""Whether a network is cut off from the world. Redis and the queue manager share one that nobody else is on."""

UNKNOWN_DEVICE = "/dev/disk/by-id/unknown"
"""Stands in for the data volume's path while only the steps' names are asked for."""


@dataclass(frozen=True, kw_only=True)
class AppHostArgs:
    """The stack's settings, names and providers."""

    stack: Stack


class AppHost(pulumi.ComponentResource):
    """`machine` to put files on, `containers` to run them, `tailnet_address` for the other machines to find it."""

    machine: Machine
    containers: ContainerHost
    tailnet_address: pulumi.Output[str]
    steps: dict[str, command.remote.Command]

    def __init__(self, name: str, args: AppHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:machines:AppHost", name, None, opts)
        settings = args.stack.settings
        vps = Vps(
            name,
            VpsArgs(stack=args.stack),
            pulumi.ResourceOptions(parent=self),
        )
        expected = settings.app_host.expected_tailnet_address
        facts = AppHostFacts(
            name=args.stack.naming.of("app"),
            authorized_keys=tuple(settings.access.public_keys),
            data_device=UNKNOWN_DEVICE,
            format_blank_data_volume=True,
            data_volume_gb=settings.app_host.data_volume_gb,
            expected_tailnet_address=str(expected) if expected else None,
            rustdesk=settings.access.rustdesk,
        )
        self.steps = run_steps(
            vps.machine,
            app_host_steps(facts),
            {AUTH_KEY: pulumi.Output.secret(settings.tailscale_auth_key.get_secret_value())},
            self,
            shells=vps.data_device.apply(
                lambda device: {step.name: step.shell for step in app_host_steps(replace(facts, data_device=device))}
            ),
        )
        self.machine = replace(vps.machine, ready=(list(self.steps.values())[-1],))
        # The step prints the address as its last line (infra/remote/ensure/tailnet.py).
        self.tailnet_address = last_line(self.steps["tailnet"])
        self.containers = ContainerHost(
            f"{name}-engine",
            ContainerHostArgs(
                machine=self.machine,
                stack=args.stack,
                networks=NETWORKS,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"address": vps.machine.address, "tailnet_address": self.tailnet_address})
