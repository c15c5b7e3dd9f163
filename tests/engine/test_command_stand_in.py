"""The commands' stand-in: texts really run over SSH, with the real provider's habits, and no secret in an error."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal import machines, made_up
from infra.rehearsal.machines import Machine
from infra.rehearsal.ports import free_port
from infra.rehearsal.providers.cloud import Cloud
from infra.rehearsal.providers.command import StandIn
from infra.rehearsal.providers.values import UNKNOWN, Properties, ProviderFailure, Request
from tests.engine.machine_room import MachineRoom, host_key, machine_room

pytestmark = pytest.mark.engine

REMOTE = "command:remote:Command"
LOCAL = "command:local:Command"
COPY = "command:remote:CopyToRemote"


@pytest.fixture(scope="module")
def room(docker_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineRoom]:
    with machine_room(tmp_path_factory.mktemp("command") / "cloud") as opened:
        yield opened


@pytest.fixture(scope="module")
def machine(room: MachineRoom) -> Machine:
    return room.machine()


@pytest.fixture(scope="module")
def connection(room: MachineRoom, machine: Machine) -> Properties:
    key = host_key(machine.address)
    return {"host": machine.address, "privateKey": room.keys.private.value, "hostKey": key}


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn("command", Cloud(tmp_path))


def command(type_: str, **inputs: Any) -> Request:
    """What the engine asks about a new command."""
    return Request(type=type_, name="step", urn="urn:step", inputs=inputs)


def changed(request: Request, **inputs: Any) -> Request:
    """What the engine asks when the program's inputs changed."""
    return Request(
        type=request.type, name="step", urn="urn:step", id="id", inputs={**request.inputs, **inputs},
        old_inputs=request.inputs, old_outputs={**request.inputs, "stdout": "before", "stderr": ""},
    )  # fmt: skip


def test_a_command_runs_over_ssh_with_what_it_reads(stand_in: StandIn, connection: Properties) -> None:
    made = stand_in.create(
        command(REMOTE, connection=connection, create="id -un; cat; echo odd >&2", stdin="first\nsecond\n")
    )

    assert made.outputs["stdout"] == "root\nfirst\nsecond"
    assert made.outputs["stderr"] == "odd"


def test_a_change_runs_update_or_else_create_again_and_triggers_replace(
    stand_in: StandIn, connection: Properties
) -> None:
    once = command(REMOTE, connection=connection, create="echo created; cat", stdin="a")
    both = command(REMOTE, connection=connection, create="echo created", update="echo updated", triggers=[1])

    assert stand_in.update(changed(once, stdin="b"))["stdout"] == "created\nb"
    assert stand_in.update(changed(both, stdin="b"))["stdout"] == "updated"
    assert stand_in.preview_update(changed(both, stdin="b"))["stdout"] == UNKNOWN
    assert stand_in.diff(changed(both, triggers=[2])).replaces == {"triggers"}
    assert stand_in.diff(changed(both, stdin="b", connection={"host": "192.0.2.1"})).replaces == frozenset()


def test_a_delete_runs_what_the_state_holds_and_a_refresh_looks_at_nothing(
    stand_in: StandIn, room: MachineRoom, machine: Machine, connection: Properties
) -> None:
    request = command(REMOTE, connection=connection, create="touch /root/made", delete="rm /root/made")
    made = stand_in.create(request)
    seen = stand_in.read(changed(request))
    room.output(machine, "test -e /root/made")
    stand_in.delete(request)

    assert seen is not None
    assert seen.inputs == request.inputs
    assert made.outputs["stdout"] == ""
    assert room.shell(machine, "test -e /root/made").returncode == 1
    with pytest.raises(ProviderFailure, match="exit status 1: running"):
        stand_in.delete(request)  # it is gone: a delete that fails blocks a destroy


def test_a_failure_shows_the_command_and_its_output_but_nothing_that_it_read(
    stand_in: StandIn, connection: Properties
) -> None:
    failing = command(REMOTE, connection=connection, create="cat >/dev/null; echo seen; exit 7", stdin="canary")

    with pytest.raises(ProviderFailure) as failed:
        stand_in.create(failing)
    assert str(failed.value) == 'exit status 7: running "cat >/dev/null; echo seen; exit 7":\nseen\n'
    assert stand_in.cloud.records() == []


def test_what_is_recorded_holds_no_secret(stand_in: StandIn, connection: Properties) -> None:
    hidden = frozenset({"connection", "stdin"})
    inputs = {"connection": connection, "create": "cat >/dev/null", "stdin": "canary"}
    stand_in.create(Request(type=REMOTE, name="step", urn="urn:step", inputs=inputs, secret_inputs=hidden))
    recorded = (stand_in.cloud.folder / "cloud.json").read_text()

    assert "cat >/dev/null" in recorded
    assert "canary" not in recorded
    assert "PRIVATE KEY" not in recorded


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hostKey": made_up.ssh_keys().public}, "the host key is not the expected one"),
        ({"privateKey": made_up.ssh_keys().private.value}, "Permission denied"),
        ({"privateKey": "no key"}, '"connection.privateKey" or "connection.hostKey" cannot be read as a key'),
    ],
)
def test_a_wrong_key_is_refused_at_once(
    stand_in: StandIn, connection: Properties, wrong: Properties, words: str
) -> None:
    with pytest.raises(ProviderFailure, match=words):
        stand_in.create(command(REMOTE, connection={**connection, **wrong}, create="true"))


def test_a_host_that_does_not_answer_is_dialled_as_often_as_told(stand_in: StandIn, connection: Properties) -> None:
    nobody = {**connection, "host": "127.0.0.1", "port": free_port(), "dialErrorLimit": 2}

    with pytest.raises(ProviderFailure, match=r"after 2 failed attempts: dial tcp 127\.0\.0\.1"):
        stand_in.create(command(REMOTE, connection=nobody, create="true"))


def test_a_machine_that_is_still_starting_is_waited_for(
    stand_in: StandIn, room: MachineRoom, connection: Properties
) -> None:
    late = room.machine("late")
    patient = {**connection, "host": late.address, "hostKey": host_key(late.address), "dialErrorLimit": 100}
    machines.stop_machine(late)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(stand_in.create, command(REMOTE, connection=patient, create="echo in"))
        assert not made.done()
        machines.start_machine(late)

    assert made.result().outputs["stdout"] == "in"


def test_a_variable_that_sshd_does_not_take_is_an_error(stand_in: StandIn, connection: Properties) -> None:
    asked = command(REMOTE, connection=connection, create="echo $LC_X", environment={"LC_X": "yes"})
    refused = command(REMOTE, connection=connection, create="true", environment={"TOKEN": "canary"})

    assert stand_in.create(asked).outputs["stdout"] == "yes"
    with pytest.raises(ProviderFailure, match="'TOKEN': ssh: setenv failed") as failed:
        stand_in.create(refused)
    assert "canary" not in str(failed.value)


def test_a_file_and_a_folder_are_copied(
    stand_in: StandIn, room: MachineRoom, machine: Machine, connection: Properties, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("copied")
    for source, target in (
        ({"path": str(folder / "inner" / "file")}, "/root/one"),
        ({"path": str(folder)}, "/root"),
        ({"path": f"{folder}/"}, "/srv"),
        ({"text": "typed"}, "/root/typed"),
    ):
        stand_in.create(command(COPY, connection=connection, source=source, remotePath=target))

    files = "/root/one /root/folder/inner/file /srv/inner/file /root/typed"
    assert room.output(machine, f"cat {files}") == "copied" * 3 + "typed"


def test_a_local_command_runs_here_and_sees_what_it_printed_before(stand_in: StandIn, tmp_path: Path) -> None:
    request = command(LOCAL, create="pwd; echo $A; cat", dir=str(tmp_path), environment={"A": "b"}, stdin="c")
    made = stand_in.create(request)
    later = stand_in.update(changed(request, create="echo $PULUMI_COMMAND_STDOUT"))

    assert made.outputs["stdout"] == f"{tmp_path}\nb\nc"
    assert later["stdout"] == "before"
    with pytest.raises(ProviderFailure, match='exit status 4: running "exit 4"'):
        stand_in.create(command(LOCAL, create="exit 4"))


def test_without_machines_nothing_runs(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUME_REHEARSAL_MACHINES", "none")
    machine = machines.create_machine(tmp_path, "app", authorized_keys=[])
    touched = stand_in.create(command(LOCAL, create=f"touch {tmp_path}/touched"))
    there = {"host": machine.address, "privateKey": "", "hostKey": ""}
    joined = stand_in.create(command(REMOTE, connection=there, create="tailscale up; tailscale ip -4"))

    assert touched.outputs["stdout"] == ""
    assert not (tmp_path / "touched").exists()
    assert joined.outputs["stdout"] == machine.tailnet_address
