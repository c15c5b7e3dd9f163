"""Disks and shares of a prepared machine: blank, used, foreign, doubled, renamed. Nothing is formatted by surprise."""

import json

import pytest

from infra.remote import ensure
from tests.engine.bootstrap.prepared import (
    MIB,
    blank_image,
    formatted_image,
)
from tests.engine.bootstrap.room import Room, app_step, gpu_step

pytestmark = [pytest.mark.engine, pytest.mark.slow]


SCRATCH_POINT = "/mnt/try"


def test_a_blank_volume_is_not_formatted_unless_that_is_asked_for(room: Room) -> None:
    image = blank_image(room.cloud, "blank.img")
    room.app.attach("/dev/disk/by-id/blank", image)

    said = room.app.refusal(ensure.ensure_data_volume("/dev/disk/by-id/blank", SCRATCH_POINT, format_when_blank=False))

    assert "is blank, and formatting was not asked for" in said
    assert image.read_bytes() == bytes(48 * MIB)
    assert SCRATCH_POINT not in room.app.inside("cat /etc/fstab")


@pytest.mark.parametrize("beginning", [b"\0" * MIB + b"somebody's bytes", b"\0" * 4086 + b"SWAPSPACE2"])
def test_a_volume_with_anything_on_it_is_never_formatted(room: Room, beginning: bytes) -> None:
    name = f"full-{len(beginning)}"
    image = blank_image(room.cloud, name)
    with image.open("r+b") as file:
        file.write(beginning)
    before = image.read_bytes()
    room.app.attach(f"/dev/disk/by-id/{name}", image)

    said = room.app.refusal(ensure.ensure_data_volume(f"/dev/disk/by-id/{name}", SCRATCH_POINT, format_when_blank=True))

    assert "nothing was" in said
    assert image.read_bytes() == before


def test_a_volume_with_a_file_system_is_mounted_as_it_is_and_grows_with_its_device(room: Room) -> None:
    image = formatted_image(room.cloud, "used.img")
    with image.open("r+b") as file:
        file.truncate(64 * MIB)
    room.gpu.attach("/dev/disk/by-id/used", image)

    step = ensure.ensure_scratch("/dev/disk/by-id/used", SCRATCH_POINT, format_when_blank=True)
    first, second = room.gpu.step(step), room.gpu.step(step)

    assert room.gpu.inside(f"cat {SCRATCH_POINT}/kept") == "work of a day"
    assert "formatted" not in first
    assert "grown to the size of the volume" in first
    assert second == "scratch: unchanged"
    room.gpu.inside(f"umount {SCRATCH_POINT} && sed -i '\\|{SCRATCH_POINT}|d' /etc/fstab")


def test_a_copy_of_a_volume_on_the_same_machine_is_refused(room: Room) -> None:
    for number in ("1", "2"):
        image = blank_image(room.cloud, f"twin-{number}.img")
        if number == "1":
            original = formatted_image(room.cloud, "twin-original.img")
        image.write_bytes(original.read_bytes())
        room.gpu.attach(f"/dev/disk/by-id/twin-{number}", image)

    said = room.gpu.refusal(ensure.ensure_scratch("/dev/disk/by-id/twin-1", SCRATCH_POINT, format_when_blank=False))

    assert "the same UUID" in said


def test_another_volume_at_the_mount_point_is_left_alone(room: Room) -> None:
    image = formatted_image(room.cloud, "second.img")
    room.app.attach("/dev/disk/by-id/second", image)

    said = room.app.refusal(
        ensure.ensure_data_volume("/dev/disk/by-id/second", "/srv/comfyume", format_when_blank=True)
    )

    assert "is mounted at /srv/comfyume" in said
    assert room.app.step(app_step(room, "data-volume")) == "data-volume: unchanged"


def test_the_share_is_mounted_with_many_connections_and_docker_waits_for_it(room: Room) -> None:
    line = next(line for line in room.gpu.inside("cat /etc/fstab").splitlines() if "/mnt/sfs" in line)

    assert line.startswith("nfs.fin-01.example.org:/SFS-class /mnt/sfs nfs ")
    assert {"nconnect=16", "_netdev", "nofail"} <= set(line.split()[3].split(","))
    assert "/mnt/sfs" in room.gpu.inside("systemctl show --property=RequiresMountsFor docker.service")


def test_a_share_that_is_not_shared_with_this_machine_says_so(room: Room) -> None:
    said = room.app.refusal(ensure.ensure_shared_filesystem("nfs.fin-01.example.org:/SFS-class", "/mnt/not-mine"))

    assert "Share the volume with this instance" in said
    room.app.inside("sed -i '\\|/mnt/not-mine|d' /etc/fstab; rm -r /etc/systemd/system/docker.service.d/*-shared-*")


def test_a_renamed_share_replaces_the_old_mount(room: Room) -> None:
    storage = room.cloud / "storage"
    (storage / "shares" / "SFS-renamed").mkdir()
    (storage / "exports.json").write_text(json.dumps({"/SFS-class": ["gpu-1"], "/SFS-renamed": ["gpu-1"]}))
    renamed = ensure.ensure_shared_filesystem("nfs.fin-01.example.org:/SFS-renamed", "/mnt/sfs")

    said, again = room.gpu.step(renamed), room.gpu.step(renamed)

    assert "no longer nfs.fin-01.example.org:/SFS-class" in said
    assert again == "shared-filesystem: unchanged"
    assert room.gpu.inside("grep -c /mnt/sfs /etc/fstab") == "1"
    room.gpu.step(gpu_step(room, "shared-filesystem"))
