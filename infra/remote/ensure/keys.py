"""Steps for workers' keys on GPU hosts: from the app host into memory, and never onto a rented machine's disk.

The app host keeps each GPU host's keys in a folder of their own. A GPU host shows the key that identifies it to SSH
clients as *its* identity and is answered by a forced command that knows nothing but that folder. What comes back goes
into the kernel's keyring and, for the containers, onto a ramfs: both are gone with the power, and read anew at boot.
"""

import re
from collections.abc import Iterable

from infra.remote.ensure.system import DIRECTORY, RELOAD_UNITS, put_unit
from infra.remote.shell import put_text, quote, script
from infra.remote.ssh import ADDRESS, HOST_KEY
from infra.remote.steps import Step
from services.domain.errors import InvalidInput

DISPENSER = "comfyume-keys"
"""The app host's user, command and unit that hand out keys carry one name."""

OFFERED = "/etc/comfyume/keys"
RECIPIENTS = "/etc/comfyume/key-recipients"

PRINT_KEYS = """\
#!/bin/sh
# Prints the keys of one GPU host, one line each: name, space, base64. Forced by authorized_keys; takes no other order.
set -eu
case $1 in ''|*[!A-Za-z0-9_-]*) exit 2 ;; esac
for key in "/etc/comfyume/keys/$1"/*; do
  [ -f "$key" ] || continue
  printf '%s %s\\n' "${key##*/}" "$(base64 -w 0 "$key")"
done
"""

DISPENSER_READY = """\
if ! getent passwd comfyume-keys >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/comfyume-keys --no-create-home --shell /bin/sh comfyume-keys
  usermod -p '*' comfyume-keys
  note 'user comfyume-keys'
fi
ensure_directory /etc/comfyume root:root 0755
ensure_directory /etc/comfyume/keys root:comfyume-keys 0750
ensure_directory /etc/comfyume/key-recipients root:root 0755
ensure_directory /var/lib/comfyume-keys root:root 0755
ensure_directory /var/lib/comfyume-keys/.ssh root:root 0755
"""

AUTHORIZE = """\
authorized=$(cat /etc/comfyume/key-recipients/*.line 2>/dev/null || true)
put_file /var/lib/comfyume-keys/.ssh/authorized_keys 0644 root:root <<END
# Written by comfyume: one line a GPU host.
$authorized
END
"""

LOAD_KEYS = """\
#!/bin/sh
# Fetches this host's keys from the app host into the kernel's keyring and onto a ramfs. Prints what changed.
set -eu
export LC_ALL=C
umask 077
. /etc/comfyume/key-source
mkdir -p /run/comfyume/keys
mountpoint -q /run/comfyume/keys || mount -t ramfs -o mode=0711 comfyume-keys /run/comfyume/keys
for worker in $workers; do
  # The folders are there before the keys: containers mount them, and find their key as soon as it arrives.
  install -d -o 10001 -g 10001 -m 0500 "/run/comfyume/keys/$worker"
done
tries=0
until answer=$(ssh -F /dev/null -T -i /etc/ssh/ssh_host_ed25519_key -p "$port" -o BatchMode=yes -o IdentitiesOnly=yes \\
  -o IdentityAgent=none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/comfyume/app-host.known \\
  -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias=app-host -o ConnectTimeout=10 "comfyume-keys@$address" keys); do
  tries=$((tries + 1))
  [ "$tries" -lt "${COMFYUME_KEY_TRIES:-12}" ] || { echo 'the app host gives no keys' >&2; exit 1; }
  sleep 5
done
for worker in $workers; do
  key=$(printf '%s\\n' "$answer" | sed -n "s/^$worker //p")
  [ -n "$key" ] || { echo "the app host has no key for $worker" >&2; exit 1; }
  kept=$(keyctl search @u user "comfyume:$host:$worker" 2>/dev/null || true)
  if [ -z "$kept" ] || [ "$(keyctl pipe "$kept" | base64 -w 0)" != "$key" ]; then
    kept=$(printf '%s' "$key" | base64 -d | keyctl padd user "comfyume:$host:$worker" @u)
    echo "key of $worker"
  fi
  folder=/run/comfyume/keys/$worker
  if [ "$(base64 -w 0 "$folder/token" 2>/dev/null || true)" != "$key" ]; then
    keyctl pipe "$kept" > "$folder/.token"
    chown 10001:10001 "$folder/.token"
    chmod 0400 "$folder/.token"
    mv -f "$folder/.token" "$folder/token"
  fi
done
for folder in /run/comfyume/keys/*/; do
  worker=$(basename "$folder")
  case " $workers " in *" $worker "*) continue ;; esac
  rm -rf -- "$folder"
  kept=$(keyctl search @u user "comfyume:$host:$worker" 2>/dev/null || true)
  [ -z "$kept" ] || keyctl unlink "$kept" @u
  echo "no longer $worker"
done
"""

KEYS_UNIT = """\
[Unit]
Description=Workers' keys from the app host into memory
Wants=network-online.target
After=network-online.target tailscaled.service
Before=docker.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
KeyringMode=shared
ExecStart=/usr/local/sbin/comfyume-load-keys
Restart=on-failure
RestartSec=15

[Install]
WantedBy=multi-user.target
"""

LOAD_NOW = """\
command -v keyctl >/dev/null || fail 'the package keyutils is missing'
loaded=$(/usr/local/sbin/comfyume-load-keys) || fail 'the keys could not be loaded from the app host: see above'
[ -z "$loaded" ] || note "$(printf '%s' "$loaded" | tr '\\n' ',')"
systemctl is-enabled --quiet comfyume-keys || { systemctl enable --quiet comfyume-keys >&2; note 'loaded at boot'; }
systemctl is-active --quiet comfyume-keys || systemctl start comfyume-keys
"""


def ensure_key_dispenser() -> Step:
    """On the app host: the user, the folders and the command that answer GPU hosts. No key is in this step."""
    body = DIRECTORY + DISPENSER_READY + put_text(f"/usr/local/bin/{DISPENSER}", PRINT_KEYS, mode="0755") + AUTHORIZE
    undo = f"userdel {DISPENSER}; rm -r /var/lib/{DISPENSER} {OFFERED} {RECIPIENTS} /usr/local/bin/{DISPENSER}"
    return Step("key-dispenser", script("key-dispenser", body), undo)


def ensure_key_recipient(host: str, public_key: str) -> Step:
    """On the app host: the GPU host with this SSH host key may fetch its own keys, and nothing else."""
    _check_key(public_key)
    line = f'restrict,command="/usr/local/bin/{DISPENSER} {_name(host)}" {public_key.strip()}\n'
    body = DIRECTORY + f"ensure_directory {OFFERED}/{_name(host)} root:{DISPENSER} 0750\n"
    body += put_text(f"{RECIPIENTS}/{host}.line", line) + AUTHORIZE
    return Step(
        f"key-recipient-{host}", script(f"key-recipient-{host}", body), f"Run the step no-key-recipient-{host}."
    )


def ensure_no_key_recipient(host: str) -> Step:
    """On the app host: the GPU host is gone, and so are its keys and its way in."""
    gone = f"{RECIPIENTS}/{_name(host)}.line {OFFERED}/{_name(host)}"
    body = f"for path in {gone}; do\n"
    body += '  [ ! -e "$path" ] || { rm -rf -- "$path"; note "no longer $path"; }\ndone\n'
    name = f"no-key-recipient-{host}"
    return Step(
        name, script(name, body + AUTHORIZE), f"Run the step key-recipient-{host}, and worker-key for its workers."
    )


def ensure_worker_key(host: str, worker: str, secret: str) -> Step:
    """On the app host: the key of one worker, from standard input, for its GPU host to fetch. `secret` names it."""
    path = f"{OFFERED}/{_name(host)}/{_name(worker)}"
    step = f"worker-key-{worker}"
    body = f"put_file {path} 0640 root:{DISPENSER}\n"
    return Step(step, script(step, body, reads_stdin=True), f"rm {path}", stdin_secret=secret)


def ensure_keyring(
    host: str, workers: Iterable[str], *, app_host_address: str, app_host_key: str, app_host_port: int = 22
) -> Step:
    """On a GPU host: the workers' keys are in memory now, and are read from the app host again after every boot."""
    _check_key(app_host_key)
    if not ADDRESS.fullmatch(app_host_address):
        raise InvalidInput("the app host's address is no address: give an IP address or a name")
    names = " ".join(_name(worker) for worker in workers)
    source = (
        f"host={_name(host)}\naddress={quote(app_host_address)}\nport={int(app_host_port)}\nworkers={quote(names)}\n"
    )
    body = "install -d -m 0755 /etc/comfyume\n"
    body += put_text("/etc/comfyume/key-source", source)
    body += put_text("/etc/comfyume/app-host.known", f"app-host {app_host_key.strip()}\n")
    body += put_text("/usr/local/sbin/comfyume-load-keys", LOAD_KEYS, mode="0755")
    body += put_unit("comfyume-keys.service", KEYS_UNIT) + RELOAD_UNITS + LOAD_NOW
    undo = (
        "systemctl disable --now comfyume-keys; umount /run/comfyume/keys; keyctl clear @u; rm "
        "/etc/comfyume/key-source /etc/comfyume/app-host.known /usr/local/sbin/comfyume-load-keys "
        "/etc/systemd/system/comfyume-keys.service"
    )
    return Step("keyring", script("keyring", body), undo)


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise InvalidInput(f"the name of a host or worker is {name!r}: letters, digits, _ and - are due")
    return name


def _check_key(key: str) -> None:
    if not HOST_KEY.fullmatch(key.strip()):
        raise InvalidInput("an SSH host key is malformed: its type and key are due, such as 'ssh-ed25519 AAAA...'")
