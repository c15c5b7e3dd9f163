"""The GPU host as a resource, over real HTTP and real SSH: it reaches the state, and leaves it only with a backup."""

import json
from pathlib import Path

import pytest

from infra.rehearsal.providers.cloud import Fault
from infra.verda.backup import WAIVER_VARIABLE
from infra.verda.errors import BackupFailed, NoCapacity, VerdaError
from infra.verda.provider import Props
from infra.verda.resources import VerdaInstanceProvider, VerdaInstanceReadyProvider
from tests.support.verda_room import VerdaRoom
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts(room: VerdaRoom) -> VerdaInstanceProvider:
    return room.provider(VerdaInstanceProvider)


def up(room: VerdaRoom, hosts: VerdaInstanceProvider) -> tuple[str, Props]:
    """A host that came up: its id and what the state holds of it."""
    made = hosts.create(room.host())
    assert made.outs is not None
    return made.id, made.outs


def test_a_host_comes_up_with_its_address_and_its_host_key(room: VerdaRoom, hosts: VerdaInstanceProvider) -> None:
    id_, outs = up(room, hosts)

    assert outs["status"] == "running"
    assert outs["host_key"].startswith("ssh-ed25519 ")
    assert outs["ip"] == room.machines(outs["hostname"])[0]["ip"]
    assert not hosts.diff(id_, outs, {name: outs[name] for name in room.host()}).changes


def test_a_host_is_backed_up_before_it_is_deleted(
    room: VerdaRoom, hosts: VerdaInstanceProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    id_, outs = up(room, hosts)

    hosts.delete(id_, outs)

    snapshot = room.backups(outs["hostname"])[0]["snapshot"]
    assert room.machines(outs["hostname"]) == []
    assert room.volume(outs["os_volume_id"])["status"] == "deleted"
    assert f"is backed up as {snapshot}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("disk full", "exit code 1"), ("unverified", "was verified"), ("missing", "comfyume-backup is missing")],
)
def test_a_failed_backup_keeps_the_host(room: VerdaRoom, hosts: VerdaInstanceProvider, fault: str, reason: str) -> None:
    id_, outs = up(room, hosts)
    room.fail(Fault(op="backup", urn=outs["hostname"], error=fault))

    with pytest.raises(BackupFailed, match=reason) as refused:
        hosts.delete(id_, outs)

    assert room.machines(outs["hostname"])[0]["status"] == "running"
    assert f"{WAIVER_VARIABLE}={outs['hostname']}" in refused.value.message
    assert not any(canary in str(refused.value) for canary in room.keys.private.canaries)


def test_another_machine_at_the_address_is_not_believed(room: VerdaRoom, hosts: VerdaInstanceProvider) -> None:
    id_, outs = up(room, hosts)
    _, stranger = up(room, hosts)

    with pytest.raises(BackupFailed, match="could not be asked"):
        hosts.delete(id_, {**outs, "host_key": stranger["host_key"]})

    assert room.machines(outs["hostname"]) != []
    assert room.backups(outs["hostname"]) == []


def test_a_dead_host_is_given_up_only_by_its_exact_name_and_with_a_record(
    room: VerdaRoom, hosts: VerdaInstanceProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_, outs = up(room, hosts)
    room.fail(Fault(op="backup", urn=outs["hostname"], error="dead"))
    monkeypatch.setenv(WAIVER_VARIABLE, outs["hostname"][:-1])
    with pytest.raises(BackupFailed):
        hosts.delete(id_, outs)

    monkeypatch.setenv(WAIVER_VARIABLE, outs["hostname"])
    hosts.delete(id_, outs)

    record = json.loads((tmp_path / "comfyume" / "deletions.jsonl").read_text())
    assert (record["host"], record["instance_id"]) == (outs["hostname"], id_)
    assert room.machines(outs["hostname"]) == []


def test_a_host_is_not_given_up_where_that_cannot_be_written_down(
    room: VerdaRoom, hosts: VerdaInstanceProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_, outs = up(room, hosts)
    (tmp_path / "comfyume").write_text("a file where the folder should be")
    monkeypatch.setenv(WAIVER_VARIABLE, outs["hostname"])

    with pytest.raises(BackupFailed, match="written down"):
        hosts.delete(id_, outs)

    assert room.machines(outs["hostname"]) != []


@pytest.mark.parametrize("status", ["error", "no_capacity"])
def test_a_host_that_does_not_come_up_reaches_the_state_and_is_refused_there(
    room: VerdaRoom, hosts: VerdaInstanceProvider, status: str
) -> None:
    wanted = room.host()
    room.fail(Fault(op="provision", urn=wanted["hostname"], error=status))
    made = hosts.create(wanted)
    assert made.outs is not None

    ready = room.provider(VerdaInstanceReadyProvider)
    with pytest.raises(NoCapacity if status == "no_capacity" else VerdaError, match=wanted["hostname"]):
        ready.create({"instance_id": made.id, "hostname": wanted["hostname"], "timeout_seconds": 60.0})

    assert made.outs["host_key"] == ""
    hosts.delete(made.id, made.outs)
    assert room.machines(wanted["hostname"]) == []


def test_a_slow_host_is_waited_for_again_by_the_next_up(room: VerdaRoom, hosts: VerdaInstanceProvider) -> None:
    wanted = room.host(boot_seconds=0.2)
    room.fail(Fault(op="provision", urn=wanted["hostname"], error="hold"))
    made = hosts.create(wanted)
    assert made.outs is not None
    room.fail()
    patient = {**wanted, "boot_seconds": 60.0}

    difference = hosts.diff(made.id, made.outs, patient)
    again = hosts.update(made.id, made.outs, patient)

    assert made.outs["host_key"] == ""
    assert (difference.changes, difference.replaces) == (True, [])
    assert again.outs is not None
    assert again.outs["host_key"].startswith("ssh-ed25519 ")
    assert not hosts.diff(made.id, again.outs, patient).changes


def test_a_host_with_an_address_and_no_pinned_key_is_backed_up_too(
    room: VerdaRoom, hosts: VerdaInstanceProvider
) -> None:
    wanted = room.host(boot_seconds=0.0)
    made = hosts.create(wanted)
    assert made.outs is not None
    wait_for(lambda: room.machines(wanted["hostname"])[0]["status"] == "running", "the machine runs")

    hosts.delete(made.id, {**made.outs, "host_key": ""})

    assert len(room.backups(wanted["hostname"])) == 1


def test_a_create_that_was_interrupted_takes_over_its_own_machine(
    room: VerdaRoom, hosts: VerdaInstanceProvider
) -> None:
    wanted = room.host()

    first, second = hosts.create(wanted), hosts.create(wanted)

    assert first.id == second.id
    assert second.outs is not None and first.outs is not None
    assert second.outs["host_key"] == first.outs["host_key"]


def test_a_host_that_is_gone_is_no_error_and_leaves_no_disk(room: VerdaRoom, hosts: VerdaInstanceProvider) -> None:
    id_, outs = up(room, hosts)
    room.api().machines._service.action(id_, "delete", volume_ids=[])
    wait_for(lambda: not room.machines(outs["hostname"]), "the machine is gone")

    assert hosts.read(id_, outs).id is None
    hosts.delete(id_, outs)
    assert room.volume(outs["os_volume_id"])["status"] == "deleted"


def test_what_makes_another_machine_replaces_and_the_old_one_goes_first(
    room: VerdaRoom, hosts: VerdaInstanceProvider
) -> None:
    id_, outs = up(room, hosts)
    inputs = {name: outs[name] for name in room.host()}

    other = hosts.diff(id_, outs, {**inputs, "instance_type": "1B300.30V"})
    same = hosts.diff(id_, outs, {**inputs, "ssh_key_ids": ["another"], "description": "other words"})

    assert (other.replaces, other.delete_before_replace) == (["instance_type"], True)
    assert not same.changes


def test_the_ready_host_gives_its_address_and_key(room: VerdaRoom, hosts: VerdaInstanceProvider) -> None:
    id_, outs = up(room, hosts)
    ready = room.provider(VerdaInstanceReadyProvider)
    inputs = {
        "instance_id": id_,
        "hostname": outs["hostname"],
        "host_key": outs["host_key"],
        "timeout_seconds": 60.0,
    }

    seen = ready.create(inputs).outs

    assert seen is not None
    assert (seen["ip"], seen["host_key"]) == (outs["ip"], outs["host_key"])
    assert not ready.diff(id_, seen, inputs).changes
    assert ready.diff(id_, seen, {**inputs, "instance_id": "another"}).replaces == ["instance_id"]


def test_missing_credentials_are_named_before_anything_is_asked() -> None:
    with pytest.raises(VerdaError, match="verda_client_id, verda_client_secret: are not set"):
        VerdaInstanceProvider().read("an id", {})
