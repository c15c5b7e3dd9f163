"""The backup of a GPU host before its deletion: run over SSH, and believed only when it says that it is verified.

There is one way around it, for a machine that is dead: the operator names that very host in an environment variable.
It is said aloud and written down before anything is deleted.
"""

import getpass
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from infra.remote import ssh
from infra.verda.errors import BackupFailed
from services.domain.errors import WorkshopError

COMMAND = "comfyume-backup create --reason before-deletion --json"
COMMAND_NOT_FOUND = 127
SECONDS = 2 * 3600.0
"""A host writes at most a few GB of its own; the models lie on the shared file system."""

WAIVER_VARIABLE = "COMFYUME_DELETE_WITHOUT_BACKUP"


def split_address(address: str) -> tuple[str, int]:
    """Address and SSH port of "203.0.113.7" or "127.0.0.1:2022" (machines of a rehearsal share one address). Pure."""
    host, _, port = address.partition(":")
    return host, int(port or 22)


def before_deletion(hostname: str, address: str, *, host_key: str, private_key: str) -> str:
    """The name of the verified snapshot; raises BackupFailed when there is none, whatever the reason."""
    host, port = split_address(address)
    try:
        done = ssh.run(host, COMMAND, private_key=private_key, host_key=host_key, timeout=SECONDS, port=port)
    except (WorkshopError, OSError) as lost:
        raise _refusal(hostname, f"it could not be asked for one ({lost})") from None
    if done.returncode == COMMAND_NOT_FOUND:
        raise _refusal(hostname, "the command comfyume-backup is missing there")
    if done.returncode:
        raise _refusal(hostname, f"its backup ended with exit code {done.returncode}")
    snapshot = verified_snapshot(done.stdout)
    if snapshot is None:
        raise _refusal(hostname, "its backup does not say that it was verified")
    return snapshot


def verified_snapshot(answer: bytes) -> str | None:
    """The snapshot that the backup command reports as read back and verified, or None. Pure."""
    try:
        report = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(report, dict) or report.get("verified") is not True:
        return None
    snapshot = report.get("snapshot")
    return snapshot if isinstance(snapshot, str) and snapshot else None


def _refusal(hostname: str, reason: str) -> BackupFailed:
    return BackupFailed(
        f"{hostname} was not deleted and is billed on: {reason}. Log in, run `{COMMAND}` by hand and try again; "
        f"if the machine is dead, {WAIVER_VARIABLE}={hostname} gives up what is on it."
    )


def is_waived(hostname: str) -> bool:
    """Whether the operator has named exactly this host to be deleted without a backup."""
    return os.environ.get(WAIVER_VARIABLE, "") == hostname


def record_waiver(hostname: str, instance_id: str) -> Path:
    """Say and write down that a host is given up; raises BackupFailed when it cannot be written down."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    book = state / "comfyume" / "deletions.jsonl"
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": hostname,
        "instance_id": instance_id,
        "by": _person(),
        "backup": f"none, by {WAIVER_VARIABLE}",
    }
    try:
        book.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with book.open("a") as lines:
            lines.write(json.dumps(entry) + "\n")
    except OSError as full:
        raise _refusal(hostname, f"its deletion without a backup cannot be written down ({full.strerror})") from None
    say(f"WITHOUT BACKUP: {hostname} is deleted; everything that is only on it is lost. Recorded in {book}.")
    return book


def say(sentence: str) -> None:
    """To the operator: the engine shows what its providers write to the error output."""
    print(sentence, file=sys.stderr, flush=True)


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
