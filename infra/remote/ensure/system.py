"""Steps for the machine itself: first boot finished, packages, services, Docker, users, folders, files, updates."""

import json
from dataclasses import dataclass

from infra.remote.shell import (
    checked_mode,
    checked_name,
    checked_owner,
    checked_path,
    heredoc,
    put_text,
    quote,
    script,
)
from infra.remote.steps import Step
from services.domain.errors import InvalidInput

DOCKER_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
"""Fingerprint of the key that signs Docker's packages, for Debian and Ubuntu alike."""

TAILSCALE_KEY = "2596A99EAAB33821893C0A79458CA832957F5868"
"""Fingerprint of the key that signs Tailscale's packages."""

DAEMON = {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-file": "3", "max-size": "10m"}}
"""Bounded logs for every container, and containers that live on while the engine itself is updated."""

WAIT_FOR_FIRST_BOOT = """\
if command -v cloud-init >/dev/null; then
  status=0
  cloud-init status --wait >&2 || status=$?
  [ "$status" -ne 1 ] || fail "cloud-init failed on first boot: see /var/log/cloud-init-output.log on the machine"
fi
"""

INSTALL_MISSING = """\
# install_missing PACKAGE...: waits for other package runs (a fresh machine updates itself) instead of failing.
install_missing() {
  missing=''
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] ||
      missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 update >&2
  # shellcheck disable=SC2086  # a list of checked names
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 --no-install-recommends install $missing >&2
  note "installed$missing"
}
"""

VENDOR_SOURCE = """\
# vendor_source NAME KEY-ADDRESS FINGERPRINT SOURCE: a vendor's own package source, its key checked by fingerprint.
vendor_source() {
  install_missing ca-certificates curl gpg
  install -d -m 0755 /etc/apt/keyrings
  temporary=$(mktemp)
  curl -fsSL --retry 5 --retry-connrefused -o "$temporary" "$2" || fail "the key of $1 cannot be fetched: no network?"
  gpg --show-keys --with-colons "$temporary" 2>/dev/null | grep -q "^fpr:.*:$3:\\$" ||
    fail "the key of $1 is not the one with fingerprint $3: nothing was installed"
  gpg --dearmor < "$temporary" > "/etc/apt/keyrings/$1.gpg" 2>/dev/null ||
    cp -- "$temporary" "/etc/apt/keyrings/$1.gpg"
  chmod 0644 "/etc/apt/keyrings/$1.gpg"
  rm -f -- "$temporary"
  temporary=''
  printf 'deb [signed-by=/etc/apt/keyrings/%s.gpg] %s\\n' "$1" "$4" > "/etc/apt/sources.list.d/$1.list"
}
"""

DOCKER = """\
if ! command -v docker >/dev/null; then
  . /etc/os-release
  vendor_source docker "https://download.docker.com/linux/$ID/gpg" "$fingerprint" \\
    "https://download.docker.com/linux/$ID $VERSION_CODENAME stable"
  install_missing docker-ce docker-ce-cli containerd.io docker-buildx-plugin
fi
mkdir -p /etc/docker
present='{}'
[ ! -s /etc/docker/daemon.json ] || present=$(cat /etc/docker/daemon.json)
merged=$(printf '%s' "$present" | jq --sort-keys --argjson wanted "$wanted" '. * $wanted') ||
  fail '/etc/docker/daemon.json is not JSON: look into it, nothing was changed'
if [ "$merged" != "$(printf '%s' "$present" | jq --sort-keys .)" ]; then
  put_file /etc/docker/daemon.json 0644 root:root <<END
$merged
END
  systemctl restart docker
fi
systemctl is-enabled --quiet docker || { systemctl enable --quiet docker >&2; note 'enabled at boot'; }
systemctl is-active --quiet docker || { systemctl start docker; note started; }
tries=0
until docker version --format '{{.Server.Version}}' >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -le 60 ] || fail 'the Docker engine does not answer: see journalctl -u docker'
  sleep 1
done
"""

TAILSCALE = """\
if ! command -v tailscale >/dev/null; then
  . /etc/os-release
  vendor_source tailscale "https://pkgs.tailscale.com/stable/$ID/$VERSION_CODENAME.noarmor.gpg" "$fingerprint" \\
    "https://pkgs.tailscale.com/stable/$ID $VERSION_CODENAME main"
  install_missing tailscale
fi
"""

RUNNING = """\
systemctl cat "$service.service" >/dev/null 2>&1 || fail "there is no service $service: is its package installed?"
# A service that its socket starts (ssh on Ubuntu 24.04) counts as enabled through the socket.
systemctl is-enabled --quiet "$service.service" || systemctl is-enabled --quiet "$service.socket" 2>/dev/null ||
  { systemctl enable --quiet "$service.service" >&2; note 'enabled at boot'; }
systemctl is-active --quiet "$service.service" || { systemctl start "$service.service"; note started; }
systemctl is-active --quiet "$service.service" || fail "$service does not stay up: see journalctl -u $service"
"""

STOPPED = """\
if systemctl cat "$service.service" >/dev/null 2>&1; then
  ! systemctl is-active --quiet "$service.service" || { systemctl stop "$service.service"; note stopped; }
  ! systemctl is-enabled --quiet "$service.service" ||
    { systemctl disable --quiet "$service.service" >&2; note 'no longer started at boot'; }
fi
"""

USER = """\
present=$(getent passwd "$user" | cut -d: -f3 || true)
if [ -z "$present" ]; then
  taken=$(getent passwd "$number" | cut -d: -f1 || true)
  [ -z "$taken" ] || fail "number $number belongs to the user $taken already: free it first"
  getent group "$user" >/dev/null || groupadd --gid "$number" "$user"
  useradd --uid "$number" --gid "$user" --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
  note "user $user"
elif [ "$present" != "$number" ]; then
  fail "user $user has number $present where $number is due: files would belong to somebody else"
fi
"""

DIRECTORY = """\
# ensure_directory PATH OWNER MODE
ensure_directory() {
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then fail "$1 is no directory: move it away first"; fi
  [ -d "$1" ] || { mkdir -p -- "$1"; note "$1"; }
  before=$(stat -c '%a %u:%g' -- "$1")
  chown -- "$2" "$1"
  chmod -- "$3" "$1"
  [ "$before" = "$(stat -c '%a %u:%g' -- "$1")" ] || note "owner and mode of $1"
}
"""

UPGRADES = """\
// Security updates by themselves. No restart by itself; and what restarts containers or takes the GPU away from them
// (Docker, NVIDIA's driver) is only updated when an operator is there.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
Unattended-Upgrade::Automatic-Reboot "false";
Unattended-Upgrade::Package-Blacklist { "docker-"; "containerd"; "nvidia-"; "libnvidia-"; "linux-.*nvidia"; "cuda"; };
"""


@dataclass(frozen=True)
class Directory:
    """A folder of a machine: absolute path, `user:group` by name or number, four octal digits."""

    path: str
    owner: str = "root:root"
    mode: str = "0755"


def ensure_first_boot_done() -> Step:
    """Wait until cloud-init has finished; what it failed at is said here and not by a later step."""
    return Step("first-boot", script("first-boot", WAIT_FOR_FIRST_BOOT), "Nothing to undo: it only waits.")


def ensure_packages(*names: str) -> Step:
    """The distribution's packages. `docker.io` is refused: it removes the containerd that images bring along."""
    if "docker.io" in names:
        raise InvalidInput("docker.io is not installed on a machine: it conflicts with a vendor's containerd")
    listed = " ".join(checked_name(name, "a package") for name in names)
    body = f"{INSTALL_MISSING}install_missing {listed}\n"
    return Step("packages", script("packages", body), "apt-get purge the packages that the step listed as installed.")


def ensure_service_running(name: str) -> Step:
    """The unit runs now and at boot. OpenSSH's is `ssh`; `sshd` is an alias that some systems lack."""
    if name == "sshd":
        raise InvalidInput("the service is called ssh on Debian and Ubuntu: sshd fails there without a word")
    body = f"service={checked_name(name, 'a service')}\n{RUNNING}"
    return Step(f"service-{name}", script(f"service-{name}", body), f"systemctl disable --now {name}")


def ensure_service_stopped(name: str) -> Step:
    """The unit, if there is one, neither runs nor starts at boot: images bring web servers that hold port 80."""
    body = f"service={checked_name(name, 'a service')}\n{STOPPED}"
    return Step(f"no-{name}", script(f"no-{name}", body), f"systemctl enable --now {name}")


def ensure_docker() -> Step:
    """Docker as it is on the machine; where there is none, from its vendor. Container logs bounded, other keys kept."""
    known = f"fingerprint={DOCKER_KEY}\nwanted={quote(json.dumps(DAEMON, sort_keys=True))}\n"
    undo = "apt-get purge docker-ce docker-ce-cli containerd.io; remove the keys from /etc/docker/daemon.json."
    return Step("docker", script("docker", known + INSTALL_MISSING + VENDOR_SOURCE + DOCKER), undo)


def ensure_tailscale() -> Step:
    """The program, from its vendor; joining the tailnet is `ensure_tailnet`."""
    body = f"fingerprint={TAILSCALE_KEY}\n{INSTALL_MISSING}{VENDOR_SOURCE}{TAILSCALE}"
    undo = "apt-get purge tailscale; remove /etc/apt/sources.list.d/tailscale.list."
    return Step("tailscale", script("tailscale", body), undo)


def ensure_user(name: str, number: int) -> Step:
    """A user without login for what containers own: `number` is its uid and gid. Another number is refused."""
    body = f"user={checked_name(name, 'a user')}\nnumber={int(number)}\n{USER}"
    return Step(f"user-{name}", script(f"user-{name}", body), f"userdel {name}")


def ensure_directories(*directories: Directory) -> Step:
    """Folders with owner and mode, made before the first container starts: Docker would make them root's."""
    calls = [
        f"ensure_directory {checked_path(each.path)} {checked_owner(each.owner)} {checked_mode(each.mode)}\n"
        for each in directories
    ]
    body = DIRECTORY + "".join(calls)
    return Step("directories", script("directories", body), "rmdir the folders that the step listed, once empty.")


def ensure_file(
    path: str, *, mode: str, owner: str, secret: str | None = None, sha256: str = "", name: str | None = None
) -> Step:
    """The file whose content arrives over standard input: atomic, and only put in place where it differs.

    `secret` names the secret that is piped in; public content comes the same way, and then `sha256` proves that all of
    it arrived. The file's folder has to exist. A container sees the new content only through a mount of the *folder*:
    a mounted single file stays the old one.
    """
    step = name or f"file-{path.strip('/').replace('/', '-')}"
    if sha256 and not (len(sha256) == 64 and sha256.isalnum()):
        raise InvalidInput("sha256 is no SHA-256: give 64 hexadecimal digits")
    body = f"put_file {checked_path(path)} {checked_mode(mode)} {checked_owner(owner)} {quote(sha256)}\n"
    return Step(step, script(step, body, reads_stdin=True), f"rm {path}", stdin_secret=secret)


def ensure_unattended_upgrades() -> Step:
    """Security updates by themselves, without restarts and without touching Docker or the GPU's driver."""
    body = put_text("/etc/apt/apt.conf.d/52comfyume-upgrades", UPGRADES)
    body += "command -v unattended-upgrade >/dev/null || fail 'the package unattended-upgrades is missing'\n"
    return Step("upgrades", script("upgrades", body), "rm /etc/apt/apt.conf.d/52comfyume-upgrades")


def put_unit(name: str, content: str) -> str:
    """Shell text for a systemd unit; `reload_units` afterwards makes it known."""
    return heredoc(f"put_file {quote(f'/etc/systemd/system/{name}')} 0644 root:root", content)


RELOAD_UNITS = '[ -z "$changes" ] || systemctl daemon-reload\n'
"""Only after a change: a reload of all units is slow on a small machine."""
