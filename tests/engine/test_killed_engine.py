"""The engine is killed in the middle of an `up`: nothing stays behind, nothing is made twice, the next one finishes."""

from pathlib import Path

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.providers.cloud import Fault
from tests.engine.killing import in_background, kill_engine, still_running
from tests.engine.small_host import hold, rented
from tests.support.wait import wait_for

pytestmark = pytest.mark.engine

SERVER = "hcloud:index/server:Server"
ATTACHMENT = "hcloud:index/volumeAttachment:VolumeAttachment"
OTHERS = {"operator", "app-host", "data", ATTACHMENT, "password-alice", "password-bob"}
"""What the small program has beside the host; names are not unique, so one goes by its type."""


def saved(small: Rehearsal) -> set[str]:
    """What the state knows: names, and types."""
    return {part for entry in small.resources() for part in (entry["type"], entry["urn"].rpartition("::")[2])}


def test_an_up_killed_while_something_is_rented_rents_nothing_twice(small: Rehearsal) -> None:
    cloud: Path = small.cloud.folder
    hold(cloud).touch()
    with in_background(lambda: small.up(may_fail=True)) as up:
        wait_for(lambda: rented(cloud) and saved(small) >= OTHERS, "all but the rented thing is saved", limit=300)
        plugins = kill_engine()
        assert not up.result().ok
    first = rented(cloud)
    wait_for(lambda: not still_running(plugins), "every plugin has ended")
    hold(cloud).unlink()
    small.cancel()
    healed = small.up()

    assert healed.names("create") >= {"gpu-1"}
    assert rented(cloud) == first
    small.refresh(clear_pending_creates=True)
    assert small.state().get("pending_operations", []) == []
    assert small.preview(expect_no_changes=True).changes == []


def test_a_killed_engine_takes_its_stand_ins_along_before_they_make_anything(small: Rehearsal) -> None:
    small.cloud.set_faults(Fault(op="create", urn=SERVER, sleep=600))
    with in_background(lambda: small.up(may_fail=True)) as up:
        wait_for(lambda: small.cloud.begun_calls("create", SERVER), "the server's create has begun", limit=300)
        wait_for(lambda: saved(small) >= OTHERS - {"app-host", ATTACHMENT}, "all others are saved", limit=300)
        plugins = kill_engine()
        assert not up.result().ok
    wait_for(lambda: not still_running(plugins), "every plugin has ended")
    locked = small.up(may_fail=True)
    small.cloud.set_faults()
    small.cancel()
    small.up()

    assert "locked" in locked.text
    assert len(small.cloud.records(SERVER)) == 1
