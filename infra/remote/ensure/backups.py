"""Steps around backups: the command is there, a new machine is restored first, and the clock calls it ever after.

What a backup holds and where it lies is the command's business (`comfyume-backup`); here is only when it is called and
how loud its failure is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.remote.ensure.system import DIRECTORY, RELOAD_UNITS, put_unit
from infra.remote.shell import checked_name, put_text, quote, script
from infra.remote.steps import Step
from services.domain.errors import InvalidInput

COMMAND_THERE = """\
command -v comfyume-backup >/dev/null ||
  fail 'the command comfyume-backup is missing: nothing on this machine is backed up. Install the backup service'
"""

RESTORE = """\
marker=/var/lib/comfyume/restored
ensure_directory /var/lib/comfyume root:root 0755
if [ ! -e "$marker" ]; then
  status=0
  if tailscale status >/dev/null 2>&1; then
    found='nothing restored: this machine is in the tailnet already and works'
  elif ! command -v comfyume-backup >/dev/null; then
    found='FIRST DEPLOYMENT: there is no backup command on this new machine, so there is nothing to restore from'
  else
    # The daemon would write an identity of its own over the restored one.
    systemctl stop tailscaled 2>/dev/null || true
    report=$(comfyume-backup restore --latest --json) || status=$?
    systemctl start tailscaled 2>/dev/null || true
    case $status in
      0) found="restored snapshot $(printf '%s\\n' "$report" | tail -n 1 | jq -r '.snapshot // "of unknown name"')" ;;
      3) found='FIRST DEPLOYMENT: no backup exists anywhere' ;;
      *) fail "restoring failed with status $status; nothing further was done, so that a later attempt can succeed" ;;
    esac
  fi
  put_file "$marker" 0644 root:root <<END
$(date -u '+%Y-%m-%dT%H:%M:%SZ') $found
END
  changes=$found
fi
"""

ALARM = """\
#!/bin/sh
# A scheduled unit failed: say so in the journal, to whoever is logged in, and in a file that the console shows.
set -eu
mkdir -p /var/lib/comfyume/alarms
{
  date -u '+%Y-%m-%dT%H:%M:%SZ'
  systemctl status --no-pager --lines=20 "$1" || true
} > "/var/lib/comfyume/alarms/$1"
echo "ALARM: $1 failed; see journalctl -u $1" | systemd-cat -t comfyume-alarm -p alert
wall "ALARM: $1 failed; see journalctl -u $1" || true
"""

ALARM_UNIT = """\
[Unit]
Description=Alarm because %i failed

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/comfyume-alarm %i
"""

BACKUP_UNIT = """\
[Unit]
Description=Backup: %i
OnFailure=comfyume-alarm@%n.service

[Service]
Type=oneshot
# One at a time: at 02 h two schedules meet.
ExecStart=flock /run/lock/comfyume-backup comfyume-backup create --reason %i --json
ExecStartPost=rm -f /var/lib/comfyume/alarms/%n
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
"""

TIMER_UNIT = """\
[Unit]
Description=When the backup {name} is due

[Timer]
OnCalendar={calendar}
Persistent=true
AccuracySec=1min
Unit=comfyume-backup@{name}.service

[Install]
WantedBy=timers.target
"""

TIMERS = """\
idle=''
for timer in $timers; do
  systemctl is-enabled --quiet "$timer" && systemctl is-active --quiet "$timer" || idle="$idle $timer"
done
# shellcheck disable=SC2086  # a list of names
[ -z "$idle" ] || { systemctl enable --quiet --now $idle >&2; note "started$idle"; }
for file in /etc/systemd/system/comfyume-backup-*.timer; do
  [ -e "$file" ] || continue
  timer=${file##*/}
  case " $timers " in *" $timer "*) continue ;; esac
  systemctl disable --quiet --now "$timer" >&2
  rm -f -- "$file"
  note "no longer $timer"
done
"""


@dataclass(frozen=True)
class Schedule:
    """When one kind of backup is due: its name (the command's `--reason`) and systemd's calendar text, in UTC."""

    name: str
    calendar: str


CONFIGURATION = (Schedule("hourly", "*-*-* *:00:00 UTC"), Schedule("offsite", "*-*-* 02,06,14,18:00:00 UTC"))
"""Every hour onto the shared filesystem and of user files to R2; four times a day the configuration to R2."""

IMAGES = (Schedule("images", "*-*-* 03:00:00 UTC"), Schedule("images-offsite", "*-*-* 04:00:00 UTC"))
"""Container images: at 03 h onto the shared filesystem, at 04 h to R2."""


def ensure_backup_command() -> Step:
    """The backup command is there; a loud refusal where it is not, and never a skip."""
    return Step("backup-command", script("backup-command", COMMAND_THERE), "Nothing to undo: it only looks.")


def ensure_restored() -> Step:
    """A new machine gets its newest snapshot back, its identity among it, before it joins the tailnet.

    No backup anywhere is a first deployment, and said so; a restore that fails stops everything after it. Done once a
    machine: /var/lib/comfyume/restored says when and what.
    """
    text = script("restored", DIRECTORY + RESTORE)
    return Step("restored", text, "rm /var/lib/comfyume/restored, and the next run restores again.")


def ensure_schedules(schedules: Iterable[Schedule]) -> Step:
    """systemd timers for the backups; output goes to the journal, failures raise an alarm, a missed hour is made up."""
    chosen = tuple(schedules)
    body = put_text("/usr/local/sbin/comfyume-alarm", ALARM, mode="0755")
    body += put_unit("comfyume-alarm@.service", ALARM_UNIT) + put_unit("comfyume-backup@.service", BACKUP_UNIT)
    for each in chosen:
        checked_name(each.name, "a schedule")
        if "\n" in each.calendar or not each.calendar.strip():
            raise InvalidInput(f"the calendar of {each.name} is {each.calendar!r}: one line of systemd's form is due")
        body += put_unit(f"comfyume-backup-{each.name}.timer", TIMER_UNIT.format(**vars(each)))
    timers = " ".join(f"comfyume-backup-{each.name}.timer" for each in chosen)
    undo = (
        "systemctl disable --now 'comfyume-backup-*.timer'; rm /etc/systemd/system/comfyume-backup* "
        "/etc/systemd/system/comfyume-alarm@.service /usr/local/sbin/comfyume-alarm; systemctl daemon-reload"
    )
    return Step("schedules", script("schedules", f"{body}timers={quote(timers)}\n{RELOAD_UNITS}{TIMERS}"), undo)
