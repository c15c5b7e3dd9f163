"""Restored before anything else, backed up by the clock, and loud when that fails."""

import pytest

from infra.remote import ensure
from tests.engine.bootstrap.room import Room, app_step, gpu_step
from tests.support.wait import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_a_machine_without_any_backup_is_announced_as_a_first_deployment(room: Room) -> None:
    assert room.said["app restored"] == "restored: changed (FIRST DEPLOYMENT: no backup exists anywhere)"
    assert "FIRST DEPLOYMENT" in room.app.inside("cat /var/lib/comfyume/restored")


def test_a_failing_restore_stops_and_a_later_one_succeeds_before_the_tailnet_is_joined(room: Room) -> None:
    app = room.app
    app.inside("echo morning > /srv/comfyume/published/workflow && comfyume-backup create --reason test --json")
    app.inside("rm /var/lib/comfyume/restored /srv/comfyume/published/workflow && tailscale down")
    app.inside("echo 'the bucket is away' > /rehearsal/machine/backup-fails")

    said = app.refusal(ensure.ensure_restored())
    not_marked = app.try_inside("cat /var/lib/comfyume/restored").returncode != 0
    app.inside("rm /rehearsal/machine/backup-fails")
    restored = app.step(ensure.ensure_restored())

    assert "restoring failed with status 1" in said
    assert not_marked
    assert restored.startswith("restored: changed (restored snapshot app-")
    assert app.inside("cat /srv/comfyume/published/workflow") == "morning"
    app.step(app_step(room, "tailnet"))


def test_a_working_machine_is_not_restored_over(room: Room) -> None:
    room.gpu.inside("rm -f /var/lib/comfyume/restored")

    assert "nothing restored" in room.gpu.step(ensure.ensure_restored())


def test_a_missing_backup_command_is_loud_and_on_a_new_machine_a_first_deployment(room: Room) -> None:
    gpu = room.gpu
    gpu.inside("mv /usr/local/bin/comfyume-backup /root/away; rm -f /var/lib/comfyume/restored; tailscale down")
    try:
        said = gpu.refusal(ensure.ensure_backup_command())
        first = gpu.step(ensure.ensure_restored())
    finally:
        gpu.inside("mv /root/away /usr/local/bin/comfyume-backup; tailscale up --ssh=false")

    assert "comfyume-backup is missing" in said
    assert "FIRST DEPLOYMENT" in first
    assert gpu.step(ensure.ensure_backup_command()) == "backup-command: unchanged"


def test_the_clock_calls_the_backups_and_a_failure_is_loud_until_one_succeeds(room: Room) -> None:
    app, unit = room.app, "comfyume-backup@hourly.service"
    timers = app.inside("systemctl list-timers --all --no-legend 'comfyume-*'")
    assert all(f"comfyume-backup-{name}.timer" in timers for name in ("hourly", "offsite", "images", "images-offsite"))
    app.inside("echo 'the bucket is away' > /rehearsal/machine/backup-fails")

    failed = app.try_inside(f"systemctl start {unit}")
    wait_for(lambda: app.try_inside(f"test -s /var/lib/comfyume/alarms/{unit}").returncode == 0, "the alarm's file")
    journal = app.inside("journalctl --no-pager -p alert -t comfyume-alarm")
    app.inside("rm /rehearsal/machine/backup-fails")
    app.inside(f"systemctl start {unit}")

    assert failed.returncode != 0
    assert f"ALARM: {unit} failed" in journal
    assert app.try_inside(f"test -e /var/lib/comfyume/alarms/{unit}").returncode != 0


def test_a_schedule_that_is_no_longer_due_is_taken_away(room: Room) -> None:
    said = room.gpu.step(ensure.ensure_schedules([ensure.Schedule("offsite", "*-*-* 02:00:00 UTC")]))

    assert "no longer comfyume-backup-hourly.timer" in said
    assert room.gpu.try_inside("systemctl cat comfyume-backup-hourly.timer").returncode != 0
    room.gpu.step(gpu_step(room, "schedules"))
