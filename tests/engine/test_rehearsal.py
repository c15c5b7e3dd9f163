"""The rehearsal itself, on a small program: the real engine plans, deploys, heals and destroys among the stand-ins."""

import json

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.outcomes import DeploymentFailed
from infra.rehearsal.providers.cloud import Fault
from tests.engine.small_host import rented

pytestmark = pytest.mark.engine

SERVER = "hcloud:index/server:Server"
PASSWORD = "random:index/randomPassword:RandomPassword"
VOLUME = "hcloud:index/volume:Volume"


def test_a_preview_says_what_would_be_made_and_makes_nothing(small: Rehearsal) -> None:
    planned = small.preview()

    assert planned.counts("create") == {
        "pulumi:pulumi:Stack": 1,
        "pulumi:providers:hcloud": 1,
        "hcloud:index/sshKey:SshKey": 1,
        SERVER: 1,
        VOLUME: 1,
        "hcloud:index/volumeAttachment:VolumeAttachment": 1,
        PASSWORD: 2,
        "pulumi-python:dynamic:Resource": 1,
    }
    assert small.cloud.records() == []
    assert rented(small.cloud.folder) == {}


def test_a_second_up_is_silent(small: Rehearsal) -> None:
    made = small.up()
    again = small.up()
    quiet = small.preview(expect_no_changes=True)

    assert made.count("create") == 9
    assert again.changes == []
    assert quiet.changes == []
    assert small.cloud.calls("update|delete") == []


def test_an_expected_silence_that_is_broken_is_a_failure(small: Rehearsal) -> None:
    small.up()

    with pytest.raises(DeploymentFailed, match="preview failed"):
        small.with_setting("comfyume:volume_gb", 30).preview(expect_no_changes=True)


def test_a_renamed_person_is_one_create_and_one_delete(small: Rehearsal) -> None:
    small.up()
    changed = small.with_setting("comfyume:people", ["alice", "carol"]).up()

    assert [(step.op, step.name) for step in changed.changes] == [
        ("create", "password-carol"),
        ("delete", "password-bob"),
    ]


def test_a_change_in_place_and_a_replacement_are_told_apart(small: Rehearsal) -> None:
    small.up()
    before = small.cloud.records(VOLUME)[0]
    grown = small.with_setting("comfyume:volume_gb", 40).up()
    after = small.cloud.records(VOLUME)[0]

    assert grown.names("update") == {"data"}
    assert (before.id, before.outputs["size"]) == (after.id, 20)
    assert after.outputs["size"] == 40


def test_nothing_secret_shows(small: Rehearsal) -> None:
    shown = [small.preview().text, small.up().text, small.state_text(), small.refresh().text]
    shown.append((small.cloud.folder / "calls.jsonl").read_text())
    shown.append(json.dumps([{"address": output} for output in small.state()["resources"]]))
    shown.append(small.destroy().text)

    assert "small-app-host" in "".join(shown)
    assert small.found_canaries(shown) == []


def test_a_refused_input_is_named_without_its_value(small: Rehearsal) -> None:
    failed = small.with_setting("comfyume:volume_gb", 5).preview(may_fail=True)

    assert '"size" must be between 10 and 10240' in failed.text
    assert small.found_canaries([failed.text]) == []


def test_what_fails_in_the_middle_is_finished_by_the_next_up(small: Rehearsal) -> None:
    small.cloud.set_faults(
        Fault(op="create", urn=SERVER, error="no server of this type is left (resource_unavailable)")
    )
    failed = small.up(may_fail=True)
    small.cloud.set_faults()
    healed = small.up()

    assert failed.errors and "resource_unavailable" in failed.text
    assert healed.names("create") >= {"app-host", "data"}
    assert len(small.cloud.records(SERVER)) == 1
    assert small.preview(expect_no_changes=True).changes == []


def test_what_was_made_only_half_stays_known_and_is_finished(small: Rehearsal) -> None:
    small.cloud.set_faults(Fault(op="create", urn=SERVER, partial="the server does not start", times=1))
    failed = small.up(may_fail=True)
    known = small.resources(SERVER)
    healed = small.up()

    assert "the server does not start" in failed.text
    assert [entry["id"] for entry in known] == [record.id for record in small.cloud.records(SERVER)]
    assert healed.names("update", SERVER) == {"app-host"}


def test_a_refresh_finds_what_somebody_removed_and_up_makes_it_again(small: Rehearsal) -> None:
    small.up()
    server = small.cloud.records(VOLUME)[0]
    small.cloud.remove(server.package, server.type, server.id)
    small.refresh()
    healed = small.up()

    assert healed.names("create", VOLUME) == {"data"}


def test_destroy_leaves_nothing_behind(small: Rehearsal) -> None:
    small.up()
    gone = small.destroy()

    assert gone.count("delete") == 9
    assert small.cloud.records() == []
    assert rented(small.cloud.folder) == {}
