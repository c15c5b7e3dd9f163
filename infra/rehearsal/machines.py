"""Rehearsed machines: what a rented server or GPU host is in a rehearsal, namely a container of this machine's engine.

Each is a Debian with systemd and a real sshd on an address of its own (network `comfyume-rehearsal`), so that SSH is
real and unmapped. A machine's /srv, /mnt, /etc/comfyume and /run/comfyume are folders of the cloud
(`<cloud>/machines/<name>/...`), shared in both directions: what is mounted inside shows outside, where the containers
of the stack find it. The cloud's own state (which server, which price) belongs to the providers' stand-ins.

With COMFYUME_REHEARSAL_MACHINES=none nothing is started: addresses are invented, only the record is kept.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal import machine_container, machine_host
from infra.rehearsal.providers.cloud import MACHINES_VARIABLE

RECORD = "machine.json"


@dataclass(frozen=True)
class Machine:
    """One rehearsed machine of one cloud."""

    name: str
    address: str
    """IPv4 address where its sshd listens on port 22."""
    tailnet_address: str
    """IPv4 address that stands in for the one in the tailnet: its sshd, and what its containers publish there."""
    root: Path
    """Folder of the cloud that holds its srv/, mnt/, etc/comfyume/ and run/comfyume/."""
    container: str
    """Its container on this machine's engine; empty when nothing real runs."""

    def outside(self, inside: str) -> Path | None:
        """Where a path of the machine lies on this machine; None when the path is not shared with it."""
        path = Path(inside)
        shared = any(path.is_relative_to(folder) for folder in machine_container.SHARED)
        return self.root / path.relative_to("/") if shared else None


def real_machines() -> bool:
    """Whether machines and containers are really started (COMFYUME_REHEARSAL_MACHINES is not `none`)."""
    return os.environ.get(MACHINES_VARIABLE, "") != "none"


def check_abilities(folder: Path) -> None:
    """Whether machines can be started here; `folder` is scratch. Raises MachineFailed with one line where not."""
    machine_host.check_abilities(folder)
    machine_container.check_abilities()


def allocate_address(cloud: Path) -> str:
    """A free IPv4 address, for an address that is rented before its server."""
    taken = {machine.address for machine in list_machines(cloud)}
    if real_machines():
        return machine_host.free_address(taken)
    return machine_host.invented_address(taken)


def create_machine(
    cloud: Path, name: str, *, authorized_keys: list[str], user_data: str = "", address: str = "",
    devices: Mapping[str, Path] | None = None,
) -> Machine:  # fmt: skip
    """Start a machine and wait until its sshd answers; one of that name that is there already is given back as it is.

    `devices`: block devices of the machine (`/dev/disk/by-id/...`) and the image files that hold their content.
    Raises MachineFailed with one line.
    """
    if existing := find_by_name(cloud, name):
        return existing
    address = address or allocate_address(cloud)
    tailnet_address = machine_host.tailnet_address({machine.tailnet_address for machine in list_machines(cloud)})
    root = cloud / "machines" / name
    container = ""
    if real_machines():
        order = machine_container.Order(cloud, name, root, address, tailnet_address, tuple(authorized_keys), user_data)
        container = machine_container.start(order)
    root.mkdir(parents=True, exist_ok=True)
    record = {"address": address, "tailnet_address": tailnet_address, "container": container}
    (root / RECORD).write_text(json.dumps(record))
    machine = Machine(name, address, tailnet_address, root, container)
    for device, image in (devices or {}).items():
        attach_device(machine, device, image)
    return machine


def attach_device(machine: Machine, device: str, image: Path) -> None:
    """Give the machine a block device, as a volume is attached to a running server; the image file is its content."""
    if machine.container:
        machine_container.attach(machine.container, machine.root, device, image)


def detach_device(machine: Machine, device: str) -> None:
    """Take a block device away; its image file keeps the content."""
    if machine.container:
        machine_container.detach(machine.container, machine.root, device)


def remove_machine(cloud: Path, name: str) -> None:
    """Remove the machine and what lay on its own disk; the images of its devices stay. One that is gone is no error."""
    root = cloud / "machines" / name
    if real_machines():
        machine_container.remove(cloud, root, name)
    else:
        shutil.rmtree(root, ignore_errors=True)


def restart_machine(machine: Machine) -> None:
    """Reboot: memory, /run and key rings are lost, the disk stays."""
    stop_machine(machine)
    start_machine(machine)


def stop_machine(machine: Machine) -> None:
    """Switch it off: nothing answers, the disk stays."""
    if machine.container:
        machine_container.stop(machine.container, machine.root)


def start_machine(machine: Machine) -> None:
    """Switch it on again and wait until its sshd answers."""
    if machine.container:
        machine_container.start_again(machine.container, machine.address)


def share_folder(cloud: Path, path: str, names: list[str]) -> Path:
    """Share the network folder `path` with exactly these machines; gives the folder that holds its content."""
    storage = cloud / "storage"
    folder = storage / "shares" / path.strip("/").replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    exports = storage / "exports.json"
    known = json.loads(exports.read_text()) if exports.exists() else {}
    exports.write_text(json.dumps({**known, path: sorted(names)}, indent=1))
    return folder


def fail_backups(machine: Machine, why: str) -> None:
    """From now on the machine's `comfyume-backup` fails with these words; no words: it works again."""
    order = machine.root / "rehearsal" / "backup-fails"
    if why:
        order.write_text(why)
    else:
        order.unlink(missing_ok=True)


def list_machines(cloud: Path) -> list[Machine]:
    """Every machine of the cloud."""
    return [_read(record.parent) for record in sorted((cloud / "machines").glob(f"*/{RECORD}"))]


def find_by_name(cloud: Path, name: str) -> Machine | None:
    """The machine of that name, or None."""
    root = cloud / "machines" / name
    return _read(root) if (root / RECORD).exists() else None


def find_machine(cloud: Path, address: str) -> Machine | None:
    """The machine at that address, or None."""
    return next((machine for machine in list_machines(cloud) if machine.address == address), None)


def remove_machines(cloud: Path) -> None:
    """Remove every machine of the cloud, and everything that a killed rehearsal left of it on this machine's engine."""
    for machine in list_machines(cloud):
        remove_machine(cloud, machine.name)
    if real_machines():
        machine_container.sweep(cloud)


def _read(root: Path) -> Machine:
    record = json.loads((root / RECORD).read_text())
    return Machine(root.name, record["address"], record["tailnet_address"], root, record["container"])
