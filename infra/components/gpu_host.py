"""One GPU host at Verda: rented, shared filesystem and scratch attached, bootstrapped, with its workers in containers.

Everything on it hangs on the instance: it is made anew with it, and not taken down piece by piece before its backup.
"""

from dataclasses import dataclass, replace

import pulumi
import pulumi_command as command

from infra.components.app_host import AppHost
from infra.components.backups import FOLDER as BACKUP_FOLDER
from infra.components.backups import backup_settings, credentials
from infra.components.container_host import ContainerHost, ContainerHostArgs
from infra.components.host_files import HostFile, HostFolder, command_on, host_files, last_line, run_steps
from infra.components.machine import Machine
from infra.components.object_storage import ObjectStorage
from infra.components.queue_manager import QueueManager, credential_file, new_token
from infra.components.service_container import Mount, ServiceContainerArgs, service_container
from infra.environment import environment_of
from infra.remote.bootstrap import SCRATCH, SHARED, GpuHostFacts, gpu_host_steps
from infra.remote.ensure import ensure_key_recipient, ensure_no_key_recipient, ensure_worker_key
from infra.remote.ensure.tailnet import AUTH_KEY
from infra.stack import Stack
from infra.verda.resources import (
    VerdaInstance,
    VerdaInstanceReady,
    VerdaScratchAttachment,
    VerdaSshKey,
    VerdaStartupScript,
    VerdaVolume,
    VerdaVolumeShare,
)
from services.domain.names import Role
from services.worker.settings import WorkerSettings

BACKUP_KEY = "backup"
"""Name under which the machine finds the backup's credentials beside its workers' keys, in memory."""

UNKNOWN = GpuHostFacts(
    name="unknown",
    authorized_keys=("ssh-ed25519 AAAA",),
    mount_command="mount unknown:/unknown /mnt/sfs",
    workers=(),
    app_host_address="unknown",
    app_host_key="ssh-ed25519 AAAA",
)
"""Stands in for what only the clouds know, while just the steps' names are asked for."""


@dataclass(frozen=True, kw_only=True)
class GpuHostArgs:
    """`number` counts from 1 and is the host's identity: the last one goes first."""

    number: int
    stack: Stack
    ssh_keys: list[VerdaSshKey]
    startup_script: VerdaStartupScript
    volume: VerdaVolume
    app: AppHost
    queue: QueueManager
    storage: ObjectStorage


class GpuHost(pulumi.ComponentResource):
    """`address` and `tailnet_address` of the machine; `workers` are their names in the queue."""

    address: pulumi.Output[str]
    tailnet_address: pulumi.Output[str]
    physical_name: str
    workers: tuple[str, ...]

    def __init__(self, name: str, args: GpuHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:machines:GpuHost", name, None, opts)
        self._name, self._args = name, args
        self._gpu = args.stack.settings.gpu
        self.physical_name = args.stack.naming.of(name)
        self.workers = tuple(f"{name}-worker-{number}" for number in range(1, self._gpu.workers_per_host + 1))
        volume = self._scratch_volume()
        self._instance = self._rented(after=volume)
        self.machine = self._reachable()
        share = VerdaVolumeShare(
            f"{name}-share", volume_id=args.volume.id, instance_id=self._instance.id, opts=self._on_instance()
        )
        scratch = self._scratch_device(volume)
        steps = self._bootstrap(share.mount_command, scratch)
        self.machine = replace(self.machine, ready=(list(steps.values())[-1],))
        self.address = self.machine.address
        self.tailnet_address = last_line(steps["tailnet"])
        engine = ContainerHost(
            f"{name}-engine",
            ContainerHostArgs(
                machine=self.machine,
                stack=args.stack,
                networks={"workers": False},
            ),
            pulumi.ResourceOptions(parent=self),
        )
        host_files(
            f"{name}-backup",
            self.machine,
            [
                HostFile(
                    path=f"{BACKUP_FOLDER}/settings.json",
                    content=backup_settings(args.stack.settings, self.physical_name),
                    mode="0444",
                    owner="root:root",
                )
            ],
            self,
            folders=[HostFolder(path=BACKUP_FOLDER)],
        )
        for worker in self.workers:
            self._start(worker, engine)
        self.register_outputs({"address": self.address})

    def _rented(self, after: pulumi.Resource | None) -> VerdaInstance:
        # What the machine waits for at birth is deleted after it: a volume that is attached cannot be.
        return VerdaInstance(
            self._name,
            hostname=self.physical_name,
            description=f"{self.physical_name}, managed by Pulumi",
            instance_type=self._gpu.instance_type,
            image=self._gpu.operating_system,
            location=self._gpu.location,
            ssh_key_ids=[key.id for key in self._args.ssh_keys],
            startup_script_id=self._args.startup_script.id,
            is_spot=self._gpu.is_spot,
            os_volume_size=self._gpu.os_volume_gb,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[after] if after else []),
        )

    def _on_instance(self, after: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, deleted_with=self._instance, replace_with=[self._instance], depends_on=after or []
        )

    def _reachable(self) -> Machine:
        ready = VerdaInstanceReady(
            f"{self._name}-ready",
            instance_id=self._instance.id,
            hostname=self.physical_name,
            host_key=self._instance.host_key,
            opts=self._on_instance(),
        )
        self._ready = ready
        return Machine(
            name=self._name,
            resource=self._instance,
            id=self._instance.id,
            address=ready.ip,
            host_key=ready.host_key,
            architecture="amd64",
            private_key=pulumi.Output.secret(self._args.stack.settings.operator_private_key.get_secret_value()),
            ssh=self._args.stack.providers.command,
        )

    def _scratch_volume(self) -> VerdaVolume | None:
        """Room for caches. It comes and goes with the host: nobody pays for it at night, and nothing is kept on it."""
        if not self._gpu.scratch_gb:
            return None
        return VerdaVolume(
            f"{self._name}-scratch",
            name=f"{self.physical_name}-scratch",
            type="NVMe",
            size=self._gpu.scratch_gb,
            location=self._gpu.location,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _scratch_device(self, volume: VerdaVolume | None) -> pulumi.Output[str] | None:
        """The volume's path in /dev. Attached once the machine runs: one that is there at birth is wiped."""
        if volume is None:
            return None
        attached = VerdaScratchAttachment(
            f"{self._name}-scratch-attachment",
            volume_id=volume.id,
            instance_id=self._instance.id,
            opts=self._on_instance([self._ready]),
        )
        return attached.target.apply(lambda device: f"/dev/{device}")

    def _bootstrap(
        self, mount_command: pulumi.Output[str], scratch: pulumi.Output[str] | None
    ) -> dict[str, command.remote.Command]:
        args, expected = self._args, self._gpu.expected_tailnet_addresses
        facts = replace(
            UNKNOWN,
            name=self.physical_name,
            authorized_keys=tuple(args.stack.settings.access.public_keys),
            workers=self.workers,
            further_keys=(BACKUP_KEY,),
            scratch_device="/dev/unknown" if scratch is not None else None,
            format_blank_scratch=self._gpu.format_blank_scratch,
            expected_tailnet_address=str(expected[args.number - 1]) if len(expected) >= args.number else None,
        )
        known = pulumi.Output.all(
            mount_command=mount_command,
            scratch_device=scratch,
            # Not the tailnet's: a machine that boots fetches its keys before it is in the tailnet again.
            app_host_address=args.app.machine.address,
            app_host_key=args.app.machine.host_key,
        )
        return run_steps(
            self.machine,
            gpu_host_steps(facts),
            {AUTH_KEY: pulumi.Output.secret(args.stack.settings.tailscale_auth_key.get_secret_value())},
            self,
            after=[self._ready, *self._keys_offered()],
            shells=known.apply(
                lambda values: {step.name: step.shell for step in gpu_host_steps(replace(facts, **values))}
            ),
        )

    def _keys_offered(self) -> list[pulumi.Resource]:
        """On the app host: this machine's way in to fetch its keys, and the keys; all of it goes with the machine."""
        app = self._args.app.machine
        recipient = command_on(
            app,
            f"{self._name}-key-recipient",
            self.machine.host_key.apply(lambda key: ensure_key_recipient(self.physical_name, key).shell),
            self,
            delete=ensure_no_key_recipient(self.physical_name).shell,
            further=pulumi.ResourceOptions(delete_before_replace=True),
        )
        writer = self._args.storage.writers["gpu-host"]
        offered: list[pulumi.Resource] = [
            self._offer(BACKUP_KEY, credentials(writer.access_key_id, writer.secret_access_key), recipient)
        ]
        for worker in self.workers:
            token = new_token(f"token-{worker}", self)
            offered.append(self._offer(worker, token, recipient))
            offered.append(
                host_files(
                    f"credential-{worker}", app, [credential_file(Role.WORKER, worker, token)], self,
                    after=[self._args.queue.files],
                )
            )  # fmt: skip
        return offered

    def _offer(
        self, name: str, content: pulumi.Output[str], recipient: command.remote.Command
    ) -> command.remote.Command:
        shell = ensure_worker_key(self.physical_name, name, name).shell
        return command_on(
            self._args.app.machine, f"{self._name}-offered-{name}", shell, self, stdin=content, after=[recipient]
        )

    def _start(self, worker: str, engine: ContainerHost) -> None:
        """One worker; what it needs beside its image is on the shared filesystem, on scratch, and in memory."""
        backend = self._gpu.backend
        image = engine.service_image("worker" if backend == "rehearsal" else "comfyui")
        mounts = [
            Mount(source=f"/run/comfyume/keys/{worker}", target="/run/comfyume/keys"),
            Mount(source=f"{SCRATCH}/workers/{worker}", target="/data", read_only=False),
        ]
        if backend == "local":
            mounts.append(Mount(source=f"{SHARED}/models", target="/mnt/sfs/models"))
        service_container(
            worker,
            ServiceContainerArgs(
                container_name=self._args.stack.naming.of(worker),
                image=image.reference,
                limit=self._args.stack.settings.limits.worker,
                networks=[(engine.network_names["workers"], worker)],
                environment=environment_of(
                    WorkerSettings,
                    {
                        "WORKER_NAME": worker,
                        "WORKER_QUEUE_URL": self._args.queue.url,
                        "WORKER_TOKEN_FILE": "/run/comfyume/keys/token",
                        "WORKER_BACKEND": backend,
                    },
                ),
                mounts=mounts,
                gpus="all" if backend == "local" else None,
                labels=self._args.stack.naming.labels,
            ),
            engine.options(self, after=[image.built, self._args.queue.container]),
        )
