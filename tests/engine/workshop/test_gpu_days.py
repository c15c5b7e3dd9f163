"""A GPU host's days: rented in the morning, backed up and deleted at night; and what happens when something breaks."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.workshop import rehearsed_workshop

pytestmark = [pytest.mark.engine, pytest.mark.slow]

INSTANCE = "pulumi-python:dynamic/verda:Instance"


@pytest.fixture
def workshop(pulumi_cli: Path, tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsed_workshop(tmp_path) as rehearsal:
        yield rehearsal


def backups(rehearsal: Rehearsal) -> int:
    """How often a GPU host was asked for its backup."""
    log = rehearsal.folder / "imagined" / "asked.log"
    return log.read_text().count("comfyume-backup create --reason before-deletion") if log.exists() else 0


def test_hosts_come_and_go_each_backed_up_before_it_goes(workshop: Rehearsal) -> None:
    workshop.with_setting("comfyume:gpu.count", 2).up()
    assert {entry["urn"].split("::")[-1] for entry in workshop.resources(INSTANCE)} == {"gpu-1", "gpu-2"}
    assert workshop.preview(expect_no_changes=True).ok
    assert backups(workshop) == 0
    evening = workshop.with_setting("comfyume:gpu.count", 0).up()
    assert evening.count("delete", INSTANCE) == 2
    assert backups(workshop) == 2
    assert workshop.resources(INSTANCE) == []
    morning = workshop.with_setting("comfyume:gpu.count", 1).up()
    assert "gpu-1" in morning.names("create", INSTANCE)
    assert "gpu-1-restored" in morning.names("create")  # the newest snapshot, before the machine joins the tailnet


def test_a_failed_backup_keeps_the_machine_and_the_next_up_deletes_it(workshop: Rehearsal) -> None:
    workshop.with_setting("comfyume:gpu.count", 1).up()
    refuse = workshop.folder / "imagined" / "refuse"
    refuse.touch()
    stopped = workshop.with_setting("comfyume:gpu.count", 0).up(may_fail=True)
    assert "comfyume-staging-gpu-1 was not deleted and is billed on" in stopped.error
    assert len(workshop.resources(INSTANCE)) == 1
    refuse.unlink()
    workshop.up()
    assert workshop.resources(INSTANCE) == []


def test_a_provider_that_fails_in_the_middle_is_made_good_by_the_next_up(workshop: Rehearsal) -> None:
    workshop.cloud.fail({"op": "create", "urn": "::queue-manager$", "error": "out of disk", "times": 1})
    failed = workshop.up(may_fail=True)
    assert "out of disk" in failed.error
    assert workshop.up().ok
    assert workshop.preview(expect_no_changes=True).ok
    created = Counter(
        call["urn"] for call in workshop.cloud.calls() if call["op"] == "create" and call["id"] and not call["error"]
    )
    assert created and max(created.values()) == 1


def test_what_somebody_removed_by_hand_is_found_and_made_again(workshop: Rehearsal) -> None:
    workshop.up()
    workshop.cloud.forget(re.compile("::frontend-user002$"))
    assert workshop.refresh().ok
    healed = workshop.up()
    assert healed.names("create") == {"frontend-user002"}


def test_destroy_keeps_what_is_declared_as_kept_and_says_so(workshop: Rehearsal) -> None:
    workshop.up()
    protected = workshop.destroy(may_fail=True)
    assert not protected.ok and "protect" in protected.error
    workshop.with_setting("comfyume:protection.enabled", False).up()
    gone = workshop.destroy()
    kept = workshop.cloud.names()
    assert {"comfyume-staging-cache", "comfyume-staging-user-files"} <= kept
    assert "comfyume-staging-app" not in kept
    assert "retain" in gone.text or "comfyume-staging-cache" not in gone.text
