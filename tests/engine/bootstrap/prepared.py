"""Rehearsed machines with the bootstrap steps run on them over real SSH, for the tests of the steps."""

import json
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from infra.rehearsal import machines
from infra.rehearsal.machines import Machine
from infra.remote import ensure
from infra.remote.bootstrap import AppHostFacts, GpuHostFacts, app_host_steps, gpu_host_steps
from infra.remote.host_key import learn
from infra.remote.ssh import run
from infra.remote.steps import Step

LIMIT_SECONDS = 240.0
DATA_DEVICE = "/dev/disk/by-id/scsi-0HC_Volume_1"
SCRATCH_DEVICE = "/dev/disk/by-id/virtio-scratch"
SHARE = "/SFS-class"
MOUNT_COMMAND = f"sudo mount -t nfs -o nconnect=16 nfs.fin-01.example.org:{SHARE} /mnt{SHARE}"
WORKERS = ("gpu-1-worker-1", "gpu-1-worker-2")
MIB = 1024 * 1024


@dataclass(frozen=True)
class KeyPair:
    """An operator's key: the private half as the stack file has it, the public half as a machine has it."""

    private: str
    public: str


def new_key(folder: Path) -> KeyPair:
    """A fresh ed25519 key."""
    path = folder / secrets.token_hex(4)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return KeyPair(path.read_text(), path.with_suffix(".pub").read_text().strip())


class Host:
    """One machine, the key that opens it, and the host key it showed at first."""

    def __init__(self, machine: Machine, key: KeyPair) -> None:
        self.machine, self.key = machine, key
        self.host_key = learn(machine.address, 22, LIMIT_SECONDS)

    def try_step(self, step: Step, stdin: bytes = b"") -> CompletedProcess[bytes]:
        """Run a step as the Pulumi program does, whatever comes of it."""
        return run(
            self.machine.address, step.shell, private_key=self.key.private, host_key=self.host_key, stdin=stdin,
            timeout=LIMIT_SECONDS,
        )  # fmt: skip

    def step(self, step: Step, stdin: bytes = b"") -> str:
        """What a step that works said."""
        done = self.try_step(step, stdin)
        assert done.returncode == 0, f"{step.name}: {done.stderr.decode()[-2000:]}"
        return done.stdout.decode().strip()

    def refusal(self, step: Step, stdin: bytes = b"") -> str:
        """What a step that refuses said."""
        done = self.try_step(step, stdin)
        assert done.returncode != 0, f"{step.name} was expected to refuse: {done.stdout.decode()}"
        return done.stderr.decode()

    def inside(self, command: str) -> str:
        """What a command on the machine prints; past SSH, as a test looks at it."""
        return self.try_inside(command, check=True).stdout.strip()

    def try_inside(self, command: str, *, check: bool = False) -> CompletedProcess[str]:
        """A command on the machine, past SSH."""
        call = ["docker", "exec", self.machine.container, "sh", "-c", command]
        done = subprocess.run(call, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        assert not check or done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        return done

    def attach(self, device: str, image: Path) -> None:
        """Give the machine a block device."""
        machines.attach_device(self.machine, device, image)


def blank_image(folder: Path, name: str, mebibytes: int = 48) -> Path:
    """An image file of zeros: a volume that was never used."""
    image = folder / name
    with image.open("wb") as file:
        file.truncate(mebibytes * MIB)
    return image


def formatted_image(folder: Path, name: str, mebibytes: int = 48) -> Path:
    """A volume with a file system and one file on it, `kept`."""
    image = blank_image(folder, name, mebibytes)
    source = folder / f"{name}-content"
    source.mkdir()
    (source / "kept").write_text("work of a day")
    subprocess.run(["mkfs.ext4", "-q", "-d", str(source), str(image)], check=True, timeout=60)
    return image


def share_with(cloud: Path, *hosts: str) -> None:
    """What the provider does when a volume is shared with instances."""
    storage = cloud / "storage"
    (storage / "shares" / SHARE.strip("/")).mkdir(parents=True, exist_ok=True)
    (storage / "exports.json").write_text(json.dumps({SHARE: list(hosts)}))


def app_host(host: Host) -> tuple[Step, ...]:
    """The app host's steps for this machine."""
    return app_host_steps(
        AppHostFacts(
            name="app", authorized_keys=(host.key.public,), data_device=DATA_DEVICE, format_blank_data_volume=True,
            expected_tailnet_address=host.machine.tailnet_address,
        )
    )  # fmt: skip


def gpu_host_alone(host: Host, app: Host) -> list[Step]:
    """Of the GPU host's steps for this machine those that an app host has not in the same words; it has had them."""
    common = {step.shell for step in app_host(app)}
    return [step for step in _gpu_host(host, app) if step.shell not in common]


def _gpu_host(host: Host, app: Host) -> tuple[Step, ...]:
    return gpu_host_steps(
        GpuHostFacts(
            name=host.machine.name, authorized_keys=(host.key.public,), mount_command=MOUNT_COMMAND, workers=WORKERS,
            app_host_address=app.machine.address, app_host_key=app.host_key, scratch_device=SCRATCH_DEVICE,
            format_blank_scratch=True,
        )
    )  # fmt: skip


def offer_keys(app: Host, gpu: Host, keys: dict[str, bytes]) -> None:
    """What the Pulumi program does on the app host for a GPU host."""
    app.step(ensure.ensure_key_recipient(gpu.machine.name, gpu.host_key))
    for worker, key in keys.items():
        app.step(ensure.ensure_worker_key(gpu.machine.name, worker, "token"), key)
