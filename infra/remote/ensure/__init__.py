"""Steps that make something hold on a machine, whatever was there before: pure functions that give shell text.

`system` the machine itself, `access` who gets in, `tailnet`, `storage` disks and shares, `keys` secrets in memory,
`backups` restore and schedules. Which of them a kind of machine gets, in which order: `infra/remote/bootstrap.py`.
"""

from infra.remote.ensure.access import ensure_authorized_keys, ensure_fail2ban, ensure_firewall, ensure_ssh_hardened
from infra.remote.ensure.backups import Schedule, ensure_backup_command, ensure_restored, ensure_schedules
from infra.remote.ensure.keys import (
    ensure_key_dispenser,
    ensure_key_recipient,
    ensure_keyring,
    ensure_no_key_recipient,
    ensure_worker_key,
)
from infra.remote.ensure.storage import ensure_data_volume, ensure_scratch, ensure_shared_filesystem, mount_source
from infra.remote.ensure.system import (
    Directory,
    ensure_directories,
    ensure_docker,
    ensure_file,
    ensure_first_boot_done,
    ensure_packages,
    ensure_service_running,
    ensure_service_stopped,
    ensure_tailscale,
    ensure_unattended_upgrades,
    ensure_user,
)
from infra.remote.ensure.tailnet import AUTH_KEY, ensure_tailnet

__all__ = [
    "AUTH_KEY",
    "Directory",
    "Schedule",
    "ensure_authorized_keys",
    "ensure_backup_command",
    "ensure_data_volume",
    "ensure_directories",
    "ensure_docker",
    "ensure_fail2ban",
    "ensure_file",
    "ensure_firewall",
    "ensure_first_boot_done",
    "ensure_key_dispenser",
    "ensure_key_recipient",
    "ensure_keyring",
    "ensure_no_key_recipient",
    "ensure_packages",
    "ensure_restored",
    "ensure_schedules",
    "ensure_scratch",
    "ensure_service_running",
    "ensure_service_stopped",
    "ensure_shared_filesystem",
    "ensure_ssh_hardened",
    "ensure_tailnet",
    "ensure_tailscale",
    "ensure_unattended_upgrades",
    "ensure_user",
    "ensure_worker_key",
    "mount_source",
]
