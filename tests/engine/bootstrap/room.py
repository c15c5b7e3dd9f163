"""One app host and one GPU host, half-prepared and then prepared, as every test of the steps finds them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal import machines
from infra.remote.ensure.tailnet import AUTH_KEY
from infra.remote.steps import Step
from tests.engine.bootstrap.prepared import (
    DATA_DEVICE,
    SCRATCH_DEVICE,
    WORKERS,
    Host,
    app_host,
    blank_image,
    gpu_host_alone,
    new_key,
    offer_keys,
    share_with,
)

JOIN_KEY = b"tskey-auth-canary"
TOKENS = {worker: f"cme_canary_{worker}".encode() for worker in WORKERS}


@dataclass
class Room:
    """The two machines after the first run, and what that run said."""

    cloud: Path
    app: Host
    gpu: Host
    said: dict[str, str]


@contextmanager
def prepared_room(cloud: Path) -> Iterator[Room]:
    """The first run over both machines; everything is gone afterwards."""
    key = new_key(cloud)
    share_with(cloud, "gpu-1")
    try:
        app = Host(_machine(cloud, "app", key.public, {DATA_DEVICE: blank_image(cloud, "data.img")}), key)
        gpu = Host(_machine(cloud, "gpu-1", key.public, {SCRATCH_DEVICE: blank_image(cloud, "scratch.img")}), key)
        _half_prepare(app)
        said = {f"app {step.name}": app.step(step, secret(step)) for step in app_host(app)}
        offer_keys(app, gpu, TOKENS)
        said |= {f"gpu {step.name}": gpu.step(step, secret(step)) for step in gpu_host_alone(gpu, app)}
        yield Room(cloud, app, gpu, said)
    finally:
        machines.remove_machines(cloud)


def secret(step: Step) -> bytes:
    """What the Pulumi program would pipe into the step."""
    return {None: b"", AUTH_KEY: JOIN_KEY}[step.stdin_secret]


def app_step(room: Room, name: str) -> Step:
    """One of the app host's steps."""
    return next(step for step in app_host(room.app) if step.name == name)


def gpu_step(room: Room, name: str) -> Step:
    """One of the GPU host's own steps."""
    return next(step for step in gpu_host_alone(room.gpu, room.app) if step.name == name)


def _machine(cloud: Path, name: str, public_key: str, devices: dict[str, Path]) -> machines.Machine:
    return machines.create_machine(cloud, name, authorized_keys=[public_key], devices=devices)


def _half_prepare(app: Host) -> None:
    """What an image, a provider or a hand may have left on a machine before the first step."""
    app.inside("ufw allow 3306/tcp && mkdir -p /etc/docker /etc/comfyume")
    app.inside("""printf '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}' > /etc/docker/daemon.json""")
    app.inside("echo 'ssh-ed25519 AAAAstranger stranger' >> /root/.ssh/authorized_keys")
    app.inside("echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf")
    app.inside("mkdir /etc/fail2ban/jail.d/comfyume.local")  # as Docker makes one for a mount without a source
    app.inside(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n'"
        " > /etc/systemd/system/nginx.service && systemctl enable --now nginx"
    )
