"""The GPU hosts: as many as the settings say, each with its workers. None at night, n in the morning.

What must not be lost is not in this file: the host's deletion backs it up first, inside `VerdaInstance.delete()`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.components.app_host import AppHost
from infra.components.gpu_host import GpuHost, GpuHostArgs
from infra.components.object_storage import ObjectStorage
from infra.components.queue_manager import QueueManager
from infra.components.shared_filesystem import SharedFilesystem
from infra.outputs import HostFacts
from infra.stack import Stack
from infra.verda.prices import price_of
from infra.verda.resources import VerdaSshKey, VerdaStartupScript
from services.domain.stack_outputs import ContainerOutput, HostOutput

STARTUP = "#!/bin/bash\nsystemctl enable --now ssh\n"
"""All that a fresh machine does by itself; plain ASCII, because the provider's field breaks on more (incident 131)."""


@dataclass(frozen=True, kw_only=True)
class GpuFleetArgs:
    """`shared` has the models, `queue` the jobs, `app` hands out the workers' keys."""

    stack: Stack
    shared: SharedFilesystem
    app: AppHost
    queue: QueueManager
    storage: ObjectStorage


class GpuFleet(pulumi.ComponentResource):
    """`hosts` and `containers` as the stack's document describes them."""

    hosts: Sequence[HostFacts]
    containers: Sequence[ContainerOutput]

    def __init__(self, name: str, args: GpuFleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:machines:GpuFleet", name, None, opts)
        self._name, self._args = name, args
        made = self._made() if args.stack.settings.gpu.count else []
        self.hosts = [
            HostFacts(output=self._described(host), address=host.address, tailnet_address=host.tailnet_address)
            for host in made
        ]
        self.containers = [self._worker(host, worker) for host in made for worker in host.workers]
        self.register_outputs({})

    def _made(self) -> list[GpuHost]:
        args, named = self._args, self._args.stack.naming.of
        assert args.shared.volume is not None  # the settings see to it
        child = pulumi.ResourceOptions(parent=self)
        keys = [
            VerdaSshKey(
                f"{self._name}-key-{number}",
                name=named(f"operator-{number}"),
                public_key=key,
                opts=child,
            )
            for number, key in enumerate(args.stack.settings.access.public_keys, start=1)
        ]
        script = VerdaStartupScript(f"{self._name}-startup", name=named("startup"), script=STARTUP, opts=child)
        return [
            GpuHost(
                f"gpu-{number}",
                GpuHostArgs(
                    number=number,
                    stack=args.stack,
                    ssh_keys=keys,
                    startup_script=script,
                    volume=args.shared.volume,
                    app=args.app,
                    queue=args.queue,
                    storage=args.storage,
                ),
                child,
            )
            for number in range(1, args.stack.settings.gpu.count + 1)
        ]

    def _described(self, host: GpuHost) -> HostOutput:
        gpu = self._args.stack.settings.gpu
        price = price_of(gpu.instance_type, gpu.is_spot)
        return HostOutput(
            name=host.physical_name,
            role="gpu",
            provider="verda",
            machine_type=gpu.instance_type,
            location=gpu.location,
            address="",
            tailnet_address="",
            price_per_hour=price.amount if price else None,
        )

    def _worker(self, host: GpuHost, worker: str) -> ContainerOutput:
        limit = self._args.stack.settings.limits.worker
        return ContainerOutput(
            name=self._args.stack.naming.of(worker),
            role="worker",
            host=host.physical_name,
            image="worker" if self._args.stack.settings.gpu.backend == "rehearsal" else "comfyui",
            memory_mb=limit.memory_mb,
            cpus=limit.cpus,
        )
