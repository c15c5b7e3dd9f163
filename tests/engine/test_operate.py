"""The verbs over the real engine: what they change, what they refuse, what they take back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.operator import Operator
from tests.engine.small_host import rented

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

REPOSITORY = Path(__file__).resolve().parents[2]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ALWAYS = [
    {"days": DAYS, "start": "00:00", "end": "23:59", "time_zone": zone} for zone in ("Europe/Berlin", "Asia/Tokyo")
]
"""A session is going on at every minute: in one of the two zones it is never the minute before midnight."""


@pytest.fixture(scope="module")
def deployed(pulumi_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """A stack with three participants, once for all tests here; each leaves it as it found it."""
    operator = Operator(tmp_path_factory.mktemp("operated"))
    operator.types("up")
    return operator


@pytest.fixture
def operator(deployed: Operator) -> Iterator[Operator]:
    """The deployed stack; a change of its file that a test makes by hand is taken back afterwards."""
    before = deployed.file.read_bytes()
    yield deployed
    deployed.file.write_bytes(before)


def test_a_person_comes_and_gets_a_new_password_and_a_rollback_takes_her_away(operator: Operator) -> None:
    before = operator.settings()
    came = operator.types("--json", "person-add", "dora")
    people = operator.people()
    rekeyed = operator.types("--json", "--yes", "person-rekey", "dora")
    unknown = operator.types("rollback", "999", expect=4)
    back = operator.types("--json", "--yes", "rollback", "1")
    history = operator.types("--json", "history").json

    assert came.changes == [("create", "password-dora")]
    assert people == {"user001", "user002", "user003", "instructor", "ops", "dora"}
    assert rekeyed.changes == [("replace", "password-dora")]
    assert "TO: there is no update 999; there are 1, 2, 3 (`make history`)." in unknown.notes
    assert back.changes == [("delete", "password-dora")]
    assert [(entry["number"], entry["message"]) for entry in history] == [
        ("4", "rollback TO=1"),
        ("3", "person-rekey NAME=dora"),
        ("2", "person-add NAME=dora ROLE=participant"),
        ("1", "up"),
    ]
    assert operator.settings() == before


def test_a_dry_run_typed_at_a_shell_shows_the_change_and_changes_nothing(operator: Operator) -> None:
    before = operator.file.read_bytes()
    command = [sys.executable, "-m", "infra.operate", "--stack", "staging", "--folder", str(operator.project)]
    said = subprocess.run(
        [*command, "--dry-run", "gpu-up", "2"],
        cwd=REPOSITORY,
        env={**os.environ, **operator.rehearsal.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert said.returncode == 0, said.stderr
    assert "create  gpu-1" in said.stdout
    assert "Dry run of gpu-up N=2: 2 to create. Nothing was changed." in said.stdout
    assert "2 x 1V100.6V (spot)" in said.stderr
    assert operator.file.read_bytes() == before
    assert rented(operator.rehearsal.cloud.folder) == {}


def test_gpu_hosts_come_change_their_type_when_somebody_agrees_and_go(operator: Operator) -> None:
    cloud = operator.rehearsal.cloud.folder
    operator.types("gpu-up", "1")
    came, file = rented(cloud), operator.file.read_bytes()
    lost = cloud / "rented" / "gpu-1-1v100.6v"
    lost.rename(cloud / "gone")
    drifted = operator.types("--json", "drift", expect=7)
    (cloud / "gone").rename(lost)
    refused = operator.types("switch-gpu", "1B300.30V", expect=3)
    unchanged = operator.file.read_bytes()
    operator.types("--yes", "switch-gpu", "1B300.30V")
    switched = set(rented(cloud))
    operator.types("--yes", "gpu-down")

    assert set(came) == {"gpu-1-1v100.6v"}
    assert drifted.changes == [("delete", "gpu-1")]
    assert (
        "This deletes or replaces gpu-1. Nobody is here to ask; look with DRY_RUN=1, or agree with YES=1."
        in refused.notes
    )
    assert unchanged == file
    assert switched == {"gpu-1-1b300.30v"}
    assert rented(cloud) == {}


def test_a_change_that_the_program_refuses_is_taken_back(operator: Operator) -> None:
    before = operator.file.read_bytes()
    said = operator.types("person-add", "admin", expect=1)

    assert "comfyume:participants.admin: is an address of the front door; choose another name." in said.notes
    assert "Nothing was changed." in said.notes
    assert operator.file.read_bytes() == before
    assert "admin" not in operator.people()


def test_an_update_in_session_hours_is_refused_unless_forced_and_the_history_says_so(operator: Operator) -> None:
    operator.rehearsal.with_setting("comfyume:sessions", ALWAYS)
    during = operator.file.read_bytes()
    refused = operator.types("person-add", "emil", expect=3)
    unchanged = operator.file.read_bytes()
    looked = operator.types("--dry-run", "person-add", "emil")
    operator.types("--force", "person-add", "emil")
    history = operator.types("--json", "history").json
    operator.types("--force", "--yes", "person-remove", "emil")

    assert "A session is going on (mon tue" in refused.notes
    assert "insist with FORCE=1, which the stack's history records" in refused.notes
    assert unchanged == during
    assert "1 to create" in looked.answer
    assert history[0]["message"].startswith("person-add NAME=emil ROLE=participant (forced in session hours")


def test_a_wrong_key_stops_the_engine_before_anything_is_registered(operator: Operator) -> None:
    operator.rehearsal.with_setting("comfyume:gpu.cuont", 1).with_setting("comfyume:participants.gerda", {})
    calls = len(operator.rehearsal.cloud.calls("create|update|delete|check"))
    said = operator.types("up", expect=1)

    assert "comfyume:gpu.cuont: is not a setting; did you mean `count`?" in said.notes
    assert said.notes.count("gpu.cuont") == 1
    assert len(operator.rehearsal.cloud.calls("create|update|delete|check")) == calls
    assert "gerda" not in operator.people()


def test_drift_is_nothing_where_nobody_touched_anything(operator: Operator) -> None:
    assert "Everything is as the state says." in operator.types("drift").answer


def test_a_preview_writes_the_report_of_a_pull_request(operator: Operator, tmp_path: Path) -> None:
    operator.rehearsal.with_setting("comfyume:participants.hanna", {})
    operator.types("preview", "--report", str(tmp_path / "report.md"))

    assert (tmp_path / "report.md").read_text().splitlines() == [
        "<!-- preview of staging -->",
        "### `staging`: 1 to create",
        "",
        "```diff",
        "+ password-hanna (random RandomPassword)",
        "```",
    ]


def test_a_stack_that_was_never_deployed_is_named_with_the_way_to_begin(operator: Operator) -> None:
    said = operator.types("outputs", stack="prod", expect=4)

    assert "STACK: prod has never been deployed to this backend; begin with `make up STACK=prod`" in said.notes


def test_down_asks_for_the_stacks_name_and_keeps_what_is_protected(operator: Operator) -> None:
    looked = operator.types("--json", "--dry-run", "down")
    asked = operator.types("--yes", "down", expect=3)
    people = operator.people()
    done = operator.types("--json", "--confirm", "staging", "down")
    left = operator.rehearsal.resources("random:index/randomPassword:RandomPassword")

    assert "agree with CONFIRM=staging" in asked.notes
    assert len(people) == 5
    assert {op for op, _name in done.changes} == {"delete"}
    assert looked.changes == done.changes
    assert [thing["name"] for thing in done.json["kept"]] == ["redis"]
    assert [str(entry["urn"]).rpartition("::")[2] for entry in left] == ["redis"]
    operator.types("up")
    assert operator.people() == people
