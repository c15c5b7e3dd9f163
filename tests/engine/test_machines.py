"""Rehearsed machines do what rented ones do, on real sshd, systemd, disks and mounts, and leave nothing behind."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.rehearsal import machines, made_up
from infra.rehearsal.machine_host import mounted_below
from infra.rehearsal.machines import Machine
from infra.remote import ssh
from services.domain.errors import Unavailable
from tests.engine.machine_room import MachineRoom, host_key, machine_room

pytestmark = pytest.mark.engine

DEVICE = "/dev/disk/by-id/scsi-0HC_Volume_7"
DISK_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def room(docker_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineRoom]:
    with machine_room(tmp_path_factory.mktemp("machines") / "cloud") as opened:
        yield opened


@pytest.fixture(scope="module")
def machine(room: MachineRoom) -> Machine:
    return room.machine()


def test_a_machine_runs_systemd_and_is_entered_at_an_address_of_its_own(room: MachineRoom, machine: Machine) -> None:
    assert room.output(machine, "hostname") == machine.name
    assert room.output(machine, "systemctl is-active ssh docker tailscaled") == "active\nactive\nactive"
    assert room.machine() == machine


def test_a_key_that_was_not_given_to_the_machine_does_not_open_it(machine: Machine) -> None:
    stranger = made_up.ssh_keys().private.value

    with pytest.raises(Unavailable, match="Permission denied"):
        ssh.run(machine.address, "true", private_key=stranger, host_key=host_key(machine.address), timeout=60)


def test_what_is_mounted_inside_shows_outside(room: MachineRoom, machine: Machine) -> None:
    room.output(machine, "mkdir /run/comfyume/memory && mount -t ramfs none /run/comfyume/memory")
    room.output(machine, "echo held > /run/comfyume/memory/token")
    outside = machine.outside("/run/comfyume/memory/token")

    assert outside is not None
    assert outside.read_text() == "held\n"
    assert machine.outside("/root/.ssh") is None


def test_a_disk_outlives_a_reboot_and_memory_does_not(room: MachineRoom, tmp_path: Path) -> None:
    machine, image = room.machine("rebooted"), tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    machines.attach_device(machine, DEVICE, image)
    blank = room.shell(machine, f"blkid -p {DEVICE}")
    fstab = f"{DEVICE} /srv/comfyume ext4 defaults,nofail 0 2"
    room.output(machine, f"mkfs.ext4 -q {DEVICE} && mkdir /srv/comfyume && echo '{fstab}' >> /etc/fstab")
    room.output(machine, "mount /srv/comfyume && echo kept > /srv/comfyume/file && echo lost > /run/file")
    room.output(machine, f"keyctl add user comfyume:{machine.name}:worker secret @u")
    machines.restart_machine(machine)

    assert blank.returncode == 2  # nothing that blkid knows
    assert room.output(machine, "cat /srv/comfyume/file") == "kept"
    assert room.shell(machine, "test -e /run/file").returncode == 1
    assert room.shell(machine, f"keyctl search @u user comfyume:{machine.name}:worker").returncode == 1
    machines.detach_device(machine, DEVICE)
    assert room.shell(machine, f"test -e {DEVICE} || mountpoint -q /srv/comfyume").returncode != 0


def test_a_share_is_mounted_only_where_it_was_shared(room: MachineRoom, machine: Machine) -> None:
    mount = "mkdir -p /mnt/sfs && mount -t nfs -o nconnect=16 nfs.fin-01.example.org:/class /mnt/sfs"
    folder = machines.share_folder(room.cloud.folder, "/class", ["somebody-else"])
    refused = room.shell(machine, mount)
    machines.share_folder(room.cloud.folder, "/class", [machine.name])
    room.output(machine, f"{mount} && echo model > /mnt/sfs/model")

    assert "No such file or directory" in refused.stderr.decode()
    assert (folder / "model").read_text() == "model\n"
    assert (machine.root / "mnt/sfs/model").read_text() == "model\n"


def test_a_backup_comes_back_on_the_next_machine_of_that_name(room: MachineRoom) -> None:
    machine = room.machine("backed-up")
    nothing = room.shell(machine, "comfyume-backup restore --latest --json")
    room.output(
        machine,
        "mkdir -p /srv/comfyume/queue && echo work > /srv/comfyume/queue/job && chown 10001 /srv/comfyume/queue",
    )
    made = json.loads(room.output(machine, "comfyume-backup create --reason before-deletion --json"))
    machines.remove_machine(room.cloud.folder, machine.name)
    again = room.machine("backed-up")
    restored = json.loads(room.output(again, "comfyume-backup restore --latest --json"))

    assert nothing.returncode == 3
    assert made["verified"] is True
    assert restored["snapshot"] == made["snapshot"]
    assert room.output(again, "cat /srv/comfyume/queue/job; stat -c %u /srv/comfyume/queue") == "work\n10001"
    assert host_key(again.address) != host_key(room.machine().address)


def test_a_backup_that_is_told_to_fail_fails_loudly(room: MachineRoom, machine: Machine) -> None:
    machines.fail_backups(machine, "the bucket is away")
    failed = room.shell(machine, "comfyume-backup create --reason before-deletion --json")
    machines.fail_backups(machine, "")

    assert failed.returncode == 1
    assert "the bucket is away" in failed.stderr.decode()


def test_the_tailnet_is_joined_with_a_key_that_nobody_notes(room: MachineRoom, machine: Machine) -> None:
    early = room.shell(machine, "tailscale ip -4")
    keyless = room.shell(machine, "tailscale up")
    room.output(machine, "tailscale up --auth-key=tskey-canary --ssh=false --hostname=app")
    notes = (machine.root / "rehearsal" / "tailscale.json").read_text()

    assert (early.returncode, keyless.returncode) == (1, 1)
    assert room.output(machine, "tailscale ip -4") == machine.tailnet_address
    assert json.loads(notes)["arguments"] == ["--ssh=false", "--hostname=app"]
    assert "canary" not in notes
    assert host_key(machine.tailnet_address) == host_key(machine.address)


def test_a_removed_machine_leaves_nothing_behind(room: MachineRoom) -> None:
    machine = room.machine("removed")
    room.output(machine, "mkdir /mnt/there && mount -t tmpfs none /mnt/there")
    machines.remove_machine(room.cloud.folder, machine.name)
    machines.remove_machine(room.cloud.folder, machine.name)
    addresses = subprocess.run(["ip", "address"], capture_output=True, text=True, check=True, timeout=60).stdout

    assert machines.find_machine(room.cloud.folder, machine.address) is None
    assert not machine.root.exists()
    assert mounted_below(machine.root) == []
    assert f" {machine.tailnet_address}/32 " not in addresses


def test_without_machines_only_the_record_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUME_REHEARSAL_MACHINES", "none")
    made = machines.create_machine(tmp_path, "app", authorized_keys=[])

    assert made.container == ""
    assert machines.find_machine(tmp_path, made.address) == made
    assert made.address.startswith(("198.18.", "198.19."))
    machines.remove_machine(tmp_path, "app")
    assert machines.list_machines(tmp_path) == []
