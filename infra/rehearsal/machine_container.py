"""One rehearsed machine as a container of this machine's engine: start, reboot, devices, removal.

No container is privileged: a machine gets what mounting, a firewall and key rings need, and no more, so that a
rehearsal cannot change this machine's kernel settings. Which machines a cloud has is kept in `machines.py`.
"""

import io
import secrets
import shutil
import socket
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from docker.errors import APIError, NotFound
from docker.types import Mount

from infra.rehearsal.docker_engine import DockerFailed, DockerUnavailable, docker
from infra.rehearsal.machine_host import (
    NETWORK,
    MachineFailed,
    attach_loop,
    detach_loop,
    engine,
    loops_below,
    mounted_below,
    release_tailnet_address,
    run,
    share,
    take_tailnet_address,
    unshare,
)
from infra.rehearsal.machine_image import BASE, ensure_machine_image

SHARED = ("/srv", "/mnt", "/run/comfyume", "/etc/comfyume")
STORAGE = "/rehearsal/storage"
OWN = "/rehearsal/machine"
DEVICES = "rehearsal/devices"
TAILNET_ADDRESS = "rehearsal/tailnet-address"
LABEL_CLOUD = "comfyume.rehearsal.cloud"
LABEL_MACHINE = "comfyume.rehearsal.machine"

CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD", "SYS_PTRACE", "SYSLOG", "IPC_LOCK", "DAC_READ_SEARCH")
LOOP_DEVICES = ("b 7:* rmw", "c 10:237 rmw")
BOOT_SECONDS = 300.0


@dataclass(frozen=True)
class Order:
    """What is asked of a new machine."""

    cloud: Path
    name: str
    root: Path
    address: str
    tailnet_address: str
    authorized_keys: tuple[str, ...]
    user_data: str


def start(order: Order) -> str:
    """Start the machine and wait for its sshd; gives the container's name."""
    try:
        image = ensure_machine_image()
    except (DockerFailed, DockerUnavailable) as error:
        raise MachineFailed(
            f"the image of rehearsed machines cannot be made: {getattr(error, 'reason', error)}"
        ) from error
    api = engine()
    _remove_containers(_labels(order.cloud, order.name))  # one that was being started when somebody was killed
    share(order.root, (*SHARED, "/rehearsal"))
    (order.root / TAILNET_ADDRESS).write_text(order.tailnet_address)
    take_tailnet_address(order.tailnet_address)
    name = f"comfyume-rehearsal-{secrets.token_hex(4)}-{order.name}"[:63].rstrip("-")
    try:
        api.create_container(
            image, name=name, hostname=order.name, tty=True,
            ports=[22], labels=_labels(order.cloud, order.name),
            host_config=api.create_host_config(
                cap_add=list(CAPABILITIES), security_opt=["seccomp=unconfined", "apparmor=unconfined"],
                device_cgroup_rules=list(LOOP_DEVICES), mounts=_mounts(order),
                port_bindings={22: (order.tailnet_address, 22)},
                tmpfs={"/run": "exec,mode=755", "/run/lock": "", "/tmp": "exec"}, cgroupns="private",  # noqa: S108
            ),
            networking_config=api.create_networking_config(
                {NETWORK: api.create_endpoint_config(ipv4_address=order.address)}  # type: ignore[arg-type]  # a map by name
            ),
        )  # fmt: skip
        api.put_archive(name, "/", _first_files(order))
        api.start(name)
        wait_for_ssh(name, order.address)
    except APIError as error:
        remove(order.cloud, order.root, order.name)
        raise MachineFailed(f"the machine {order.name} does not start: {error.explanation}") from error
    except MachineFailed:
        remove(order.cloud, order.root, order.name)
        raise
    return name


def check_abilities() -> None:
    """Try whether a container may have what a machine needs. Raises MachineFailed, one line, if not."""
    granted = [f"--cap-add={name}" for name in CAPABILITIES]
    try:
        docker("run", "--rm", "--network", "none", "--cgroupns", "private", *granted, BASE, "true")
    except DockerFailed as failed:
        raise MachineFailed(f"containers get no {' '.join(CAPABILITIES)} here: {failed.reason}") from failed


def stop(container: str, root: Path) -> None:
    """Switch off at once; its mounts and the kernel keys that belong to it go, as memory does."""
    _forget_keys(container)
    engine().stop(container, timeout=0)
    for path in reversed([point for point in mounted_below(root) if point != str(root)]):
        run("umount", "--lazy", path)


def start_again(container: str, address: str) -> None:
    """Switch on a machine that was switched off."""
    engine().start(container)
    wait_for_ssh(container, address)


def attach(container: str, root: Path, device: str, image: Path) -> None:
    """Make the image file a block device of the machine under that name; one that is attached already stays."""
    devices = root / DEVICES
    known = devices.read_text().splitlines() if devices.exists() else []
    if any(line.split()[0] == device for line in known):
        return
    loop, minor = attach_loop(image)
    devices.write_text("".join(f"{line}\n" for line in [*known, f"{device} {loop} {minor}"]))
    _inside(container, "/usr/local/sbin/rehearsal-devices")


def detach(container: str, root: Path, device: str) -> None:
    """Take the block device away, unmounted before; its image file keeps the content."""
    devices = root / DEVICES
    lines = devices.read_text().splitlines() if devices.exists() else []
    devices.write_text("".join(f"{line}\n" for line in lines if line.split()[0] != device))
    for _, loop, _ in (line.split() for line in lines if line.split()[0] == device):
        _inside(container, "sh", "-c", 'umount --all-targets "$1" || true; rm -f "$2"', "detach", loop, device)
        detach_loop(loop)


def _inside(container: str, *command: str) -> None:
    api = engine()
    call = api.exec_create(container, list(command))["Id"]
    output = api.exec_start(call)
    if api.exec_inspect(call)["ExitCode"] != 0:
        raise MachineFailed(f"`{command[0]}` failed in {container}: {output.decode(errors='replace').strip()[-300:]}")


def remove(cloud: Path, root: Path, name: str) -> None:
    """Remove container, mounts, devices, address and folder of the machine."""
    if not root.exists():
        return
    for container in _containers(_labels(cloud, name), running=True):
        _forget_keys(container)
    _remove_containers(_labels(cloud, name))
    unshare(root)
    if (root / DEVICES).exists():
        for line in (root / DEVICES).read_text().splitlines():
            detach_loop(line.split()[1])
    if (root / TAILNET_ADDRESS).exists():
        release_tailnet_address((root / TAILNET_ADDRESS).read_text())
    shutil.rmtree(root, ignore_errors=True)


def _forget_keys(container: str) -> None:
    """The kernel keeps one ring for root, on all machines together: take out what this machine put there."""
    try:
        _inside(container, "/usr/local/sbin/rehearsal-forget-keys")
    except (APIError, MachineFailed):
        return  # it does not run any more


def sweep(cloud: Path) -> None:
    """Remove what a killed rehearsal left of this cloud: containers, networks, volumes, mounts, loop devices."""
    api, ours = engine(), {"label": f"{LABEL_CLOUD}={cloud}"}
    _remove_containers({LABEL_CLOUD: str(cloud)})
    for network in api.networks(filters=ours):
        api.remove_network(network["Id"])
    for volume in api.volumes(filters=ours)["Volumes"] or []:
        api.remove_volume(volume["Name"], force=True)
    unshare(cloud)
    for loop in loops_below(cloud):
        detach_loop(loop)


def sweep_left_over() -> None:
    """Remove what rehearsals left here whose folder is gone: a container of theirs would answer to our names."""
    found = engine().containers(all=True, filters={"label": LABEL_CLOUD})
    for cloud in {Path(container["Labels"][LABEL_CLOUD]) for container in found}:
        if not cloud.exists():
            sweep(cloud)


def wait_for_ssh(container: str, address: str) -> None:
    """Wait until an SSH server greets at port 22."""
    end = time.monotonic() + BOOT_SECONDS
    while not _greets(address):
        state = engine().inspect_container(container)["State"]
        if not state["Running"] or time.monotonic() > end:
            words = engine().logs(container, tail=20).decode(errors="replace")[-600:]
            raise MachineFailed(f"no sshd answers at {address} ({container}): {' | '.join(words.split())}")
        time.sleep(0.05)


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _mounts(order: Order) -> list[Mount]:
    shared = [Mount(path, str(order.root / path[1:]), "bind", propagation="rshared") for path in SHARED]
    storage = order.cloud / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    return [
        *shared,
        Mount(STORAGE, str(storage), "bind"),
        Mount(OWN, str(order.root / "rehearsal"), "bind"),
        Mount("/run/docker.sock", "/var/run/docker.sock", "bind"),
    ]


def _first_files(order: Order) -> bytes:
    """What a provider puts onto a new machine's disk: the keys that may enter and the text for its first boot."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, mode, text in (
            ("root/.ssh", 0o700, None),
            ("root/.ssh/authorized_keys", 0o600, "".join(f"{key.strip()}\n" for key in order.authorized_keys)),
            ("rehearsal/user-data", 0o600, order.user_data),
        ):
            entry = tarfile.TarInfo(path)
            entry.mode = mode
            if text is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(text.encode())
            archive.addfile(entry, None if text is None else io.BytesIO(text.encode()))
    return stream.getvalue()


def _labels(cloud: Path, name: str) -> dict[str, str]:
    return {LABEL_CLOUD: str(cloud), LABEL_MACHINE: name}


def _containers(labels: dict[str, str], *, running: bool) -> list[str]:
    filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
    return [str(found["Id"]) for found in engine().containers(all=not running, filters=filters)]


def _remove_containers(labels: dict[str, str]) -> None:
    for container in _containers(labels, running=False):
        try:
            engine().remove_container(container, force=True, v=True)
        except NotFound:
            continue
