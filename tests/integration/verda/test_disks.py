"""Volumes, shares and scratch disks as resources over real HTTP: nothing is made twice, shrunk, or deleted unasked."""

import pytest

from infra.rehearsal.providers.cloud import Fault
from infra.verda.errors import Ambiguous, NotAtVerda, VerdaUnavailable
from infra.verda.provider import Props
from infra.verda.resources import (
    VerdaInstanceProvider,
    VerdaScratchAttachmentProvider,
    VerdaVolumeProvider,
    VerdaVolumeShareProvider,
)
from tests.support.verda_room import PLACE, VerdaRoom

pytestmark = pytest.mark.slow


@pytest.fixture
def volumes(room: VerdaRoom) -> VerdaVolumeProvider:
    return room.provider(VerdaVolumeProvider)


def wanted(room: VerdaRoom, **changes: object) -> Props:
    return {"name": room.name("disk"), "type": "NVMe", "size": 100.0, "location": PLACE, **changes}


def made(volumes: VerdaVolumeProvider, inputs: Props) -> tuple[str, Props]:
    result = volumes.create(inputs)
    assert result.outs is not None
    return result.id, result.outs


@pytest.fixture
def host(room: VerdaRoom) -> tuple[str, Props]:
    result = room.provider(VerdaInstanceProvider).create(room.host())
    assert result.outs is not None
    return result.id, result.outs


def test_a_volume_is_made_once_for_its_name_also_when_the_answer_is_lost(
    room: VerdaRoom, volumes: VerdaVolumeProvider
) -> None:
    inputs = wanted(room)
    room.fail(Fault(op="post", urn="volumes", error="server_error", when="after", times=1))

    first, second = volumes.create(inputs), volumes.create(inputs)

    assert first.id == second.id
    assert sum(volume["name"] == inputs["name"] for volume in room.things("volumes")) == 1


def test_a_volume_grows_in_place_and_never_shrinks(room: VerdaRoom, volumes: VerdaVolumeProvider) -> None:
    inputs = wanted(room)
    id_, outs = made(volumes, inputs)
    larger = {**inputs, "size": 200.0}

    assert volumes.diff(id_, outs, larger).replaces == []
    grown = volumes.update(id_, outs, larger).outs
    assert grown is not None and not volumes.diff(id_, grown, larger).changes
    assert room.volume(id_)["size"] == 200
    assert "cannot shrink" in volumes.check(larger, inputs).failures[0].reason


def test_a_shared_file_system_is_not_renamed(room: VerdaRoom, volumes: VerdaVolumeProvider) -> None:
    inputs = wanted(room, type="NVMe_Shared")

    failures = volumes.check(inputs, {**inputs, "name": "another"}).failures

    assert [failure.property for failure in failures] == ["name"]
    assert "mount path" in failures[0].reason


def test_a_block_volume_is_renamed_in_place(room: VerdaRoom, volumes: VerdaVolumeProvider) -> None:
    inputs = wanted(room)
    id_, outs = made(volumes, inputs)
    other = {**inputs, "name": room.name("disk")}

    volumes.update(id_, outs, other)

    assert room.volume(id_)["name"] == other["name"]


def test_an_adopted_volume_is_grown_if_need_be_and_let_go_at_the_end(
    room: VerdaRoom, volumes: VerdaVolumeProvider
) -> None:
    there = room.api().volumes.ensure(name=room.name("by-hand"), type_="NVMe_Shared", size=50, location=PLACE)
    inputs = wanted(room, type="NVMe_Shared", adopt_id=there.id, size=80.0)

    id_, outs = made(volumes, inputs)
    assert not volumes.diff(id_, outs, inputs).changes
    volumes.delete(id_, outs)

    assert id_ == there.id
    assert (room.volume(id_)["size"], room.volume(id_)["status"]) == (80, "created")


def test_a_volume_of_another_kind_is_not_adopted(room: VerdaRoom, volumes: VerdaVolumeProvider) -> None:
    there = room.api().volumes.ensure(name=room.name("by-hand"), type_="NVMe", size=50, location="FIN-02")

    with pytest.raises(Ambiguous, match="FIN-02"):
        volumes.create(wanted(room, adopt_id=there.id))
    with pytest.raises(NotAtVerda, match="check its id"):
        volumes.create(wanted(room, adopt_id="00000000-0000-0000-0000-000000000000"))


def test_a_deleted_volume_goes_into_the_trash_and_is_gone_for_a_refresh(
    room: VerdaRoom, volumes: VerdaVolumeProvider
) -> None:
    id_, outs = made(volumes, wanted(room))

    volumes.delete(id_, outs)
    volumes.delete(id_, outs)

    assert room.volume(id_)["status"] == "deleted"
    assert volumes.read(id_, outs).id is None


def test_a_share_gives_verdas_own_mount_command(
    room: VerdaRoom, volumes: VerdaVolumeProvider, host: tuple[str, Props]
) -> None:
    volume, _ = made(volumes, wanted(room, type="NVMe_Shared"))
    shares = room.provider(VerdaVolumeShareProvider)
    inputs = {"volume_id": volume, "instance_id": host[0]}

    shared = shares.create(inputs)

    assert shared.outs is not None
    assert "nconnect=16" in shared.outs["mount_command"]
    assert shared.outs["pseudo_path"] in shared.outs["fstab_command"]
    assert shares.read(shared.id, shared.outs).id == shared.id
    shares.delete(shared.id, shared.outs)
    assert room.volume(volume)["instances"] == []
    assert shares.read(shared.id, shared.outs).id is None


def test_a_scratch_disk_is_attached_to_a_machine_that_was_switched_off_for_it(
    room: VerdaRoom, volumes: VerdaVolumeProvider, host: tuple[str, Props]
) -> None:
    volume, _ = made(volumes, wanted(room))
    scratch = room.provider(VerdaScratchAttachmentProvider)
    inputs = {"volume_id": volume, "instance_id": host[0], "timeout_seconds": 60.0}

    attached = scratch.create(inputs)
    again = scratch.create(inputs)

    assert attached.outs is not None and again.outs is not None
    assert (attached.outs["target"], attached.outs["ip"]) == ("vdb", host[1]["ip"])
    assert again.outs == attached.outs
    assert room.machines(host[1]["hostname"])[0]["status"] == "running"


def test_an_attachment_that_broke_off_goes_on_where_it_stopped(
    room: VerdaRoom, volumes: VerdaVolumeProvider, host: tuple[str, Props]
) -> None:
    volume, _ = made(volumes, wanted(room))
    scratch = room.provider(VerdaScratchAttachmentProvider)
    inputs = {"volume_id": volume, "instance_id": host[0], "timeout_seconds": 60.0}
    room.fail(Fault(op="put", urn="volumes", error="server_error", when="after", times=1))

    with pytest.raises(VerdaUnavailable):
        scratch.create(inputs)
    off = room.machines(host[1]["hostname"])[0]["status"]
    scratch.create(inputs)

    assert off == "offline"
    assert room.machines(host[1]["hostname"])[0]["status"] == "running"


def test_a_scratch_disk_of_another_machine_is_not_taken(
    room: VerdaRoom, volumes: VerdaVolumeProvider, host: tuple[str, Props]
) -> None:
    volume, _ = made(volumes, wanted(room))
    scratch = room.provider(VerdaScratchAttachmentProvider)
    scratch.create({"volume_id": volume, "instance_id": host[0], "timeout_seconds": 60.0})

    with pytest.raises(Ambiguous, match="attached to another machine"):
        scratch.create({"volume_id": volume, "instance_id": "another", "timeout_seconds": 60.0})


def test_a_machine_goes_on_without_its_scratch_disk(
    room: VerdaRoom, volumes: VerdaVolumeProvider, host: tuple[str, Props]
) -> None:
    volume, _ = made(volumes, wanted(room))
    scratch = room.provider(VerdaScratchAttachmentProvider)
    attached = scratch.create({"volume_id": volume, "instance_id": host[0], "timeout_seconds": 60.0})
    assert attached.outs is not None

    scratch.delete(attached.id, attached.outs)

    assert room.volume(volume)["status"] == "detached"
    assert room.machines(host[1]["hostname"])[0]["status"] == "running"
    assert scratch.read(attached.id, attached.outs).id is None
