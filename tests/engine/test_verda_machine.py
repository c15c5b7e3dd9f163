"""A GPU host that is a real Debian machine: shared and scratch disks, a real backup over SSH, and its end."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.rehearsal import machines
from infra.remote import ssh
from infra.verda.errors import BackupFailed
from infra.verda.provider import Props
from infra.verda.resources import (
    VerdaInstanceProvider,
    VerdaScratchAttachmentProvider,
    VerdaVolumeProvider,
    VerdaVolumeShareProvider,
)
from tests.support.verda_room import PLACE, VerdaRoom, open_room

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

PATIENCE = 600.0


@pytest.fixture
def room(docker_here: None, tmp_path: Path) -> Iterator[VerdaRoom]:
    cloud = tmp_path / "cloud"
    with open_room(cloud, machines=True) as opened:
        try:
            yield opened
        finally:
            machines.remove_machines(cloud)


def output(room: VerdaRoom, host: Props, command: str) -> str:
    """What a command on the host prints; it has to succeed."""
    done = ssh.run(
        host["ip"], command, private_key=room.keys.private.value, host_key=host["host_key"], timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_real_machine_gets_its_disks_and_goes_only_with_a_backup(room: VerdaRoom) -> None:
    hosts, volumes = room.provider(VerdaInstanceProvider), room.provider(VerdaVolumeProvider)
    made = hosts.create(room.host(hostname=f"verda-{uuid.uuid4().hex[:8]}-gpu", boot_seconds=PATIENCE))
    host = made.outs
    assert host is not None and host["host_key"]
    shared = volumes.create({"name": "sfs", "type": "NVMe_Shared", "size": 50.0, "location": PLACE})
    scratch = volumes.create({"name": "scratch", "type": "NVMe", "size": 100.0, "location": PLACE})

    place = {"volume_id": shared.id, "instance_id": made.id}
    share = room.provider(VerdaVolumeShareProvider).create(place).outs
    attached = room.provider(VerdaScratchAttachmentProvider).create(
        {"volume_id": scratch.id, "instance_id": made.id, "timeout_seconds": PATIENCE}
    )
    assert share is not None and attached.outs is not None
    output(room, host, f"{share['create_directory_command']} && {share['mount_command']}")
    output(room, host, f"test -b /dev/{attached.outs['target']}")
    output(room, host, "mkdir -p /srv/comfyume && echo kept > /srv/comfyume/file")

    machine = machines.find_by_name(room.cloud.folder, host["hostname"])
    assert machine is not None
    machines.fail_backups(machine, "no space")
    with pytest.raises(BackupFailed, match="exit code 1"):
        hosts.delete(made.id, host)
    still = output(room, host, "cat /srv/comfyume/file")
    machines.fail_backups(machine, "")
    hosts.delete(made.id, host)

    assert still == "kept\n"
    assert machines.find_by_name(room.cloud.folder, host["hostname"]) is None
    assert list((room.cloud.folder / "storage" / "backups" / host["hostname"]).glob("*.tar"))
    assert room.volume(scratch.id)["status"] == "detached"
