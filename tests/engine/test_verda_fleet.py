"""GPU hosts under the real engine: rented once, deleted only after a backup, known to the state whatever happens."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal import made_up
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.outcomes import Outcome
from infra.rehearsal.providers.cloud import Fault
from infra.repository import REPOSITORY
from infra.verda.backup import WAIVER_VARIABLE
from infra.verda.orphans import all_billed, find_orphans, ids_in_state
from tests.engine.killing import in_background, kill_engine, still_running
from tests.support.verda_room import VerdaRoom, open_room
from tests.support.wait import wait_for

pytestmark = pytest.mark.engine

FLEET = Path(__file__).with_name("fleet")
INSTANCE = "pulumi-python:dynamic/verda:Instance"


@dataclass
class Fleet:
    """The fleet program among a rehearsed Verda."""

    rehearsal: Rehearsal
    room: VerdaRoom
    shown: list[str] = field(default_factory=list)

    def up(self, hosts: int, *, may_fail: bool = False) -> Outcome:
        outcome = self.rehearsal.with_setting("comfyume:hosts", hosts).up(may_fail=may_fail)
        self.shown.append(outcome.text)
        return outcome

    def running(self) -> list[str]:
        return sorted(machine["hostname"] for machine in self.room.things("instances"))

    def known(self) -> list[str]:
        """The hosts that the state knows."""
        return sorted(entry["outputs"]["hostname"] for entry in self.rehearsal.resources(INSTANCE))

    def backups(self, host: str = "fleet-gpu-1") -> int:
        return len(self.room.backups(host))

    def destroy(self, **options: Any) -> Outcome:
        """Destroy as a person does who names targets; the rehearsal's own destroy takes everything."""
        stack = self.rehearsal._stack
        outcome = self.rehearsal._run("destroy", stack.destroy, False, show_secrets=False, **options)
        self.shown.append(outcome.text)
        return outcome

    def refresh(self, **options: Any) -> None:
        self.rehearsal._run("refresh", self.rehearsal._stack.refresh, False, show_secrets=False, **options)

    def secrets_shown(self) -> list[str]:
        """The secret settings that stand in anything printed or stored so far."""
        stored = [(self.room.cloud.folder / name).read_text() for name in ("cloud.json", "calls.jsonl")]
        return self.rehearsal.found_canaries([*self.shown, *stored, self.rehearsal.state_text()])


@pytest.fixture
def fleet(pulumi_cli: Path, tmp_path: Path) -> Iterator[Fleet]:
    rehearsal = Rehearsal(tmp_path / "r", source=FLEET)
    with open_room(rehearsal.cloud.folder) as room:
        rehearsal.environment["VERDA_BASE_URL"] = room.url
        rehearsal.environment["XDG_STATE_HOME"] = str(tmp_path / "home")
        rehearsal.with_setting("comfyume:public_key", room.keys.public)
        rehearsal.set_secret("comfyume:verda_client_id", made_up.token("id-"))
        rehearsal.set_secret("comfyume:verda_client_secret", made_up.token("secret-"))
        rehearsal.set_secret("comfyume:operator_private_key", room.keys.private)
        rehearsal.set_secret("comfyume:token", made_up.token("worker-"))
        opened = Fleet(rehearsal, room)
        yield opened
        assert opened.secrets_shown() == []


def test_hosts_come_and_go_with_a_backup_each_and_find_their_volumes_again(fleet: Fleet) -> None:
    empty, two = fleet.up(0), fleet.up(2)
    fleet.refresh(expect_no_changes=True)
    quiet = fleet.rehearsal.preview(expect_no_changes=True)
    scratch = {volume["id"] for volume in fleet.room.things("volumes") if volume["name"] == "fleet-gpu-1-scratch"}

    none = fleet.up(0)
    after_none = (fleet.running(), fleet.backups("fleet-gpu-1"), fleet.backups("fleet-gpu-2"))
    one = fleet.up(1)

    assert (empty.count("create", INSTANCE), two.count("create", INSTANCE), quiet.changes) == (0, 2, [])
    assert none.count("delete", INSTANCE) == 2
    assert after_none == ([], 1, 1)
    assert (one.count("create", INSTANCE), fleet.running()) == (1, ["fleet-gpu-1"])
    attached = [volume for volume in fleet.room.things("volumes") if volume["name"] == "fleet-gpu-1-scratch"]
    assert {volume["id"] for volume in attached} == scratch
    assert attached[0]["status"] == "attached"


def test_a_host_without_a_backup_stays_until_it_is_given_up_by_its_exact_name(fleet: Fleet, tmp_path: Path) -> None:
    fleet.up(1)
    fleet.room.fail(Fault(op="backup", urn="fleet-gpu-1", error="dead"))
    fleet.rehearsal.environment[WAIVER_VARIABLE] = "fleet-gpu-2"
    refused = fleet.up(0, may_fail=True)
    kept = (fleet.running(), fleet.known())
    fleet.rehearsal.environment[WAIVER_VARIABLE] = "fleet-gpu-1"
    gone = fleet.up(0)

    assert "fleet-gpu-1 was not deleted and is billed on: its backup ended with exit code 1" in refused.text
    assert kept == (["fleet-gpu-1"], ["fleet-gpu-1"])
    assert "WITHOUT BACKUP: fleet-gpu-1 is deleted" in gone.text
    record = json.loads((tmp_path / "home" / "comfyume" / "deletions.jsonl").read_text())
    assert record["host"] == "fleet-gpu-1"
    assert fleet.running() == []


def test_another_type_of_gpu_backs_the_old_host_up_before_the_new_one_is_rented(fleet: Fleet) -> None:
    fleet.up(1)
    before = fleet.room.machines("fleet-gpu-1")[0]["id"]
    fleet.rehearsal.with_setting("comfyume:instance_type", "1B300.30V")
    fleet.room.fail(Fault(op="backup", urn="fleet-gpu-1", error="disk full"))
    refused = fleet.up(1, may_fail=True)
    kept = [machine["id"] for machine in fleet.room.machines("fleet-gpu-1")]
    fleet.room.fail()
    fleet.up(1)

    assert not refused.ok
    assert kept == [before]
    assert fleet.backups() == 1
    machines = fleet.room.machines("fleet-gpu-1")
    assert [machine["instance_type"] for machine in machines] == ["1B300.30V"]
    assert fleet.rehearsal.preview(expect_no_changes=True).changes == []


def test_an_up_killed_while_a_machine_boots_takes_it_over_the_next_time(fleet: Fleet) -> None:
    fleet.room.fail(Fault(op="provision", urn="fleet-gpu-1", error="hold"))
    with in_background(lambda: fleet.up(1, may_fail=True)) as up:
        wait_for(lambda: fleet.running(), "a machine is rented", limit=180)
        plugins = kill_engine()
        assert not up.result().ok
    wait_for(lambda: not still_running(plugins), "every plugin has ended")
    rented = fleet.room.machines("fleet-gpu-1")[0]["id"]
    unknown = fleet.known()
    lost = find_orphans("fleet-gpu-1", all_billed(fleet.room.api()), ids_in_state(fleet.rehearsal.state()))
    fleet.room.fail()
    fleet.rehearsal.cancel()
    fleet.up(1)

    assert unknown == []
    assert rented in {thing.id for thing in lost}
    assert [machine["id"] for machine in fleet.room.machines("fleet-gpu-1")] == [rented]
    assert fleet.known() == ["fleet-gpu-1"]


def test_a_delete_that_was_killed_is_finished_by_the_next_up(fleet: Fleet) -> None:
    fleet.up(1)
    asked = len(fleet.room.cloud.begun_calls("put", "^/v1/instances$"))
    fleet.room.fail(Fault(op="put", urn="^/v1/instances$", sleep=600))
    with in_background(lambda: fleet.up(0, may_fail=True)) as up:
        begun = fleet.room.cloud.begun_calls
        wait_for(lambda: len(begun("put", "^/v1/instances$")) > asked, "the deletion is asked", limit=180)
        kill_engine()
        assert not up.result().ok
    kept = fleet.known()
    fleet.room.fail()
    fleet.rehearsal.cancel()
    fleet.up(0)

    assert kept == ["fleet-gpu-1"]
    assert (fleet.running(), fleet.known()) == ([], [])


def test_a_machine_that_does_not_come_up_is_in_the_state_and_waited_for_again(fleet: Fleet) -> None:
    fleet.rehearsal.with_setting("comfyume:patience", 1)
    fleet.room.fail(Fault(op="provision", urn="fleet-gpu-1", error="hold"))
    late = fleet.up(1, may_fail=True)
    known = fleet.known()
    fleet.room.fail()
    fleet.rehearsal.with_setting("comfyume:patience", 120)
    up = fleet.up(1)

    assert "did not reach 'running' within 1 s" in late.text
    assert known == ["fleet-gpu-1"]
    assert up.names("update", INSTANCE) == {"gpu-1"}
    assert len(fleet.running()) == 1
    assert fleet.rehearsal.preview(expect_no_changes=True).changes == []


def test_a_machine_that_verda_lost_leaves_the_state_with_a_refresh(fleet: Fleet) -> None:
    fleet.up(1)
    fleet.room.api().machines.delete(fleet.room.machines("fleet-gpu-1")[0]["id"], os_volume_id=None)
    fleet.rehearsal.refresh()

    assert fleet.known() == []


def test_the_search_for_orphans_reads_the_state_and_the_credentials_by_itself(fleet: Fleet) -> None:
    fleet.up(0)
    lost = fleet.room.api().volumes.ensure(name="comfyume-staging-lost", type_="NVMe", size=50, location="FIN-01")
    home = fleet.rehearsal.folder / "home" / "bin"
    found = subprocess.run(
        [sys.executable, "-m", "infra.verda", "orphans", "--stack", "staging", "--json"],
        cwd=fleet.rehearsal.folder / "project",
        env={
            **os.environ,
            **fleet.rehearsal.environment,
            "PYTHONPATH": str(REPOSITORY),
            "PATH": f"{home}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    fleet.shown.extend([found.stdout, found.stderr])

    assert (found.returncode, found.stderr) == (1, "")
    assert [thing["id"] for thing in json.loads(found.stdout)] == [lost.id]


def test_a_targeted_destroy_and_a_whole_one_back_up_first_and_keep_the_volumes(fleet: Fleet) -> None:
    fleet.up(2)
    urn = next(entry["urn"] for entry in fleet.rehearsal.resources(INSTANCE) if entry["urn"].endswith("::gpu-1"))
    fleet.destroy(target=[urn], target_dependents=True)
    after_one = (fleet.running(), fleet.backups("fleet-gpu-1"), fleet.backups("fleet-gpu-2"))
    fleet.destroy()

    assert after_one == (["fleet-gpu-2"], 1, 0)
    assert (fleet.running(), fleet.backups("fleet-gpu-2")) == ([], 1)
    kept = find_orphans("fleet-", all_billed(fleet.room.api()), ids_in_state(fleet.rehearsal.state()))
    assert [thing.name for thing in kept] == ["fleet-gpu-1-scratch", "fleet-gpu-2-scratch", "fleet-sfs"]
