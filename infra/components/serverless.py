"""Serverless containers as another shape of the worker pool: one deployment, one worker each.

Verda balances the requests of a deployment over its replicas without affinity, so a job's parts would reach different
ComfyUIs (facts: predecessor, incidents 8, 44, 45). One replica at most per deployment, and a worker of its own, cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.components.container_host import ContainerHost
from infra.components.queue_manager import QueueManager
from infra.components.remote_worker import RemoteWorkerArgs, remote_worker
from infra.components.shared_filesystem import SharedFilesystem
from infra.stack import Stack
from infra.verda.resources import VerdaDeployment
from services.domain.stack_outputs import ContainerOutput, DeploymentOutput


@dataclass(frozen=True, kw_only=True)
class ServerlessArgs:
    """`shared` has the models; the workers run on `host`."""

    stack: Stack
    host: ContainerHost
    queue: QueueManager
    shared: SharedFilesystem


class Serverless(pulumi.ComponentResource):
    """`deployments` and `containers` as the stack's document describes them; both empty by default."""

    deployments: Sequence[pulumi.Output[DeploymentOutput]]
    containers: Sequence[ContainerOutput]

    def __init__(self, name: str, args: ServerlessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:workers:Serverless", name, None, opts)
        self._args = args
        names = [f"serverless-{number}" for number in range(1, args.stack.settings.serverless.count + 1)]
        self.deployments = [self._pair(worker) for worker in names]
        self.containers = [self._described(worker) for worker in names]
        self.register_outputs({})

    def _pair(self, worker: str) -> pulumi.Output[DeploymentOutput]:
        wanted, key = self._args.stack.settings.serverless, self._args.stack.settings.verda_inference_key
        assert wanted.image is not None and key is not None  # the settings see to it
        physical = self._args.stack.naming.of(worker)
        deployment = VerdaDeployment(
            worker,
            name=physical,
            image=wanted.image,
            compute=wanted.compute,
            command=wanted.command,
            is_spot=wanted.is_spot,
            scale_down_seconds=wanted.idle_seconds,
            sfs_volume_id=self._args.shared.volume.id if self._args.shared.volume else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        remote_worker(
            RemoteWorkerArgs(
                name=worker,
                naming=self._args.stack.naming,
                host=self._args.host,
                limit=self._args.stack.settings.limits.remote_worker,
                queue=self._args.queue,
                comfyui_url=deployment.endpoint_base_url,
                comfyui_token=pulumi.Output.secret(key.get_secret_value()),
            ),
            self,
        )
        return deployment.endpoint_base_url.apply(
            lambda endpoint: DeploymentOutput(
                name=physical, worker=worker, endpoint=endpoint, compute=f"{wanted.compute}{' spot' * wanted.is_spot}"
            )
        )

    def _described(self, worker: str) -> ContainerOutput:
        limit = self._args.stack.settings.limits.remote_worker
        return ContainerOutput(
            name=self._args.stack.naming.of("worker", worker),
            role="worker",
            host=self._args.stack.naming.of("app"),
            image="worker",
            memory_mb=limit.memory_mb,
            cpus=limit.cpus,
            health_url=f"http://worker-{worker}:8185/healthz",
        )
