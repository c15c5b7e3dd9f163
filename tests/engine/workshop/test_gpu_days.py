"""A GPU host's days: rented in the morning, backed up and deleted at night; and what happens when something breaks."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.providers.cloud import Fault
from infra.rehearsal.workshop import rehearsed_workshop

pytestmark = [pytest.mark.engine, pytest.mark.slow]

INSTANCE = "pulumi-python:dynamic/verda:Instance"
SERVER = "hcloud:index/server:Server"
CONTAINER = "docker:index/container:Container"
BUCKET = "cloudflare:index/r2Bucket:R2Bucket"


@pytest.fixture
def workshop(pulumi_cli: Path, tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsed_workshop(tmp_path) as rehearsal:
        yield rehearsal


def backups(rehearsal: Rehearsal) -> int:
    """How often a GPU host was asked for its backup."""
    log = rehearsal.folder / "imagined" / "asked.log"
    return log.read_text().count("comfyume-backup create --reason before-deletion") if log.exists() else 0


def test_hosts_come_and_go_each_backed_up_before_it_goes(workshop: Rehearsal) -> None:
    workshop.with_setting("comfyume:gpu.scratch_gb", 100).with_setting("comfyume:gpu.count", 2).up()
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
    workshop.cloud.set_faults(Fault("create", "::queue-manager$", error="no space left on the machine"))
    failed = workshop.up(may_fail=True)
    assert "no space left on the machine" in failed.error
    workshop.cloud.set_faults()
    assert workshop.up().ok
    assert workshop.preview(expect_no_changes=True).ok
    created = Counter(call["urn"] for call in workshop.cloud.calls("create") if not call["error"])
    assert set(created.values()) == {1}


def test_what_somebody_removed_by_hand_is_found_and_made_again(deployed: Rehearsal) -> None:
    [removed] = [record for record in deployed.cloud.records(CONTAINER) if "user002" in record.inputs["name"]]
    deployed.cloud.remove(removed.package, removed.type, removed.id)
    assert deployed.preview(expect_no_changes=True).ok  # nobody looks without being told to
    deployed.refresh()
    assert deployed.up().names("create") == {"frontend-user002"}


def test_destroy_keeps_what_is_declared_as_kept(workshop: Rehearsal) -> None:
    workshop.up()
    refused = workshop.destroy(may_fail=True)
    assert "protect" in refused.error
    assert len(workshop.cloud.records(SERVER)) == 1
    workshop.with_setting("comfyume:protection.enabled", False).up()
    workshop.destroy()
    assert workshop.cloud.records(SERVER) == []
    assert len(workshop.cloud.records(BUCKET)) == 4
    assert len(workshop.cloud.records("hcloud:index/volume:Volume")) == 1
