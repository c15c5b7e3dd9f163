"""The rehearsal itself, on a small program: the real engine plans, deploys, heals and destroys among the stand-ins."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.outcomes import DeploymentFailed, Outcome
from infra.rehearsal.providers.cloud import Fault
from tests.engine.conftest import small_rehearsal
from tests.engine.small_host import rented

pytestmark = pytest.mark.engine

SERVER = "hcloud:index/server:Server"
PASSWORD = "random:index/randomPassword:RandomPassword"
VOLUME = "hcloud:index/volume:Volume"


@dataclass(frozen=True)
class Deployed:
    """A deployed stack, and what was seen on the way there."""

    rehearsal: Rehearsal
    planned: Outcome
    before: tuple[list[Any], dict[str, str]]
    made: Outcome


@pytest.fixture(scope="module")
def deployed(pulumi_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The small program, deployed once. A test may change the stack and leaves it deployed, with nothing pending."""
    rehearsal = small_rehearsal(tmp_path_factory.mktemp("deployed"))
    planned = rehearsal.preview()
    before = (rehearsal.cloud.records(), rented(rehearsal.cloud.folder))
    return Deployed(rehearsal, planned, before, rehearsal.up())


def test_a_preview_says_what_would_be_made_and_makes_nothing(deployed: Deployed) -> None:
    assert deployed.planned.counts("create") == {
        "pulumi:pulumi:Stack": 1,
        "pulumi:providers:hcloud": 1,
        "hcloud:index/sshKey:SshKey": 1,
        SERVER: 1,
        VOLUME: 1,
        "hcloud:index/volumeAttachment:VolumeAttachment": 1,
        PASSWORD: 2,
        "pulumi-python:dynamic:Resource": 1,
    }
    assert deployed.before == ([], {})
    assert deployed.made.counts("create") == deployed.planned.counts("create")


def test_a_second_up_is_silent(deployed: Deployed) -> None:
    rehearsal = deployed.rehearsal
    touched = len(rehearsal.cloud.calls("update")) + len(rehearsal.cloud.calls("delete"))
    again = rehearsal.up()
    quiet = rehearsal.preview(expect_no_changes=True)

    assert (again.changes, quiet.changes) == ([], [])
    assert len(rehearsal.cloud.calls("update")) + len(rehearsal.cloud.calls("delete")) == touched


def test_a_renamed_person_is_one_create_and_one_delete(deployed: Deployed) -> None:
    rehearsal, name = deployed.rehearsal, f"carol-{secrets.token_hex(2)}"
    alice, other = rehearsal.settings.get("comfyume:people")
    changed = rehearsal.with_setting("comfyume:people", [alice, name]).up()

    assert [(step.op, step.name) for step in changed.changes] == [
        ("create", f"password-{name}"),
        ("delete", f"password-{other}"),
    ]


def test_a_change_in_place_keeps_what_is_there_and_breaks_an_expected_silence(deployed: Deployed) -> None:
    rehearsal = deployed.rehearsal
    before = rehearsal.cloud.records(VOLUME)[0]
    rehearsal.with_setting("comfyume:volume_gb", before.outputs["size"] + 10)
    with pytest.raises(DeploymentFailed, match="preview failed"):
        rehearsal.preview(expect_no_changes=True)
    grown = rehearsal.up()
    after = rehearsal.cloud.records(VOLUME)[0]

    assert [(step.op, step.name, step.changed) for step in grown.changes] == [("update", "data", ("size",))]
    assert (after.id, after.outputs["size"]) == (before.id, before.outputs["size"] + 10)


def test_nothing_secret_shows(deployed: Deployed) -> None:
    rehearsal = deployed.rehearsal
    shown = [deployed.planned.text, deployed.made.text, rehearsal.refresh().text, rehearsal.state_text()]
    shown.append((rehearsal.cloud.folder / "calls.jsonl").read_text())
    opened = str(rehearsal.outputs()["note"])

    assert "small-app-host" in "".join(shown)
    assert rehearsal.found_canaries([opened]) == ["comfyume:token"], "the canary is nowhere: nothing is proved"
    assert rehearsal.found_canaries(shown) == []


def test_a_refused_input_is_named_without_its_value(small: Rehearsal) -> None:
    failed = small.with_setting("comfyume:volume_gb", 5).preview(may_fail=True)

    assert '"size" must be between 10 and 10240' in failed.text
    assert small.found_canaries([failed.text]) == []


def test_a_refresh_finds_what_somebody_removed_and_up_makes_it_again(deployed: Deployed) -> None:
    rehearsal = deployed.rehearsal
    volume = rehearsal.cloud.records(VOLUME)[0]
    rehearsal.cloud.remove(volume.package, volume.type, volume.id)
    rehearsal.refresh()
    healed = rehearsal.up()

    assert healed.names("create", VOLUME) == {"data"}


def test_what_fails_in_the_middle_is_finished_by_the_next_up(small: Rehearsal) -> None:
    no_server = Fault(op="create", urn=SERVER, error="no server of this type is left (resource_unavailable)", times=1)
    half = Fault(op="create", urn=SERVER, partial="the server does not start", times=1)
    small.cloud.set_faults(no_server, half)
    failed, made_half = small.up(may_fail=True), small.up(may_fail=True)
    known = [entry["id"] for entry in small.resources(SERVER)]
    healed = small.up()

    assert "resource_unavailable" in failed.text
    assert "the server does not start" in made_half.text
    assert known == [record.id for record in small.cloud.records(SERVER)]
    assert healed.names("update", SERVER) == {"app-host"}
    assert healed.names("create") >= {"data"}


def test_destroy_leaves_nothing_behind(small: Rehearsal) -> None:
    small.up()
    gone = small.destroy()

    assert gone.count("delete") == 9
    assert small.cloud.records() == []
    assert rented(small.cloud.folder) == {}
    assert small.found_canaries([gone.text]) == []
