"""The bootstrap steps on real Debian machines over real SSH: half-prepared at first, done after the first run, and
untouched by the second.

The machines are containers with systemd, sshd, ufw, fail2ban, loop devices and key rings of their own. Tailscale, NFS,
Docker's engine and the backup command are the rehearsal's stand-ins there.
"""

import json

import pytest

from infra.remote import ensure
from infra.remote.ensure.system import INSTALL_MISSING, VENDOR_SOURCE
from infra.remote.shell import script
from infra.remote.steps import Step
from tests.engine.bootstrap.prepared import (
    WORKERS,
    app_host,
    gpu_host_alone,
)
from tests.engine.bootstrap.room import Room, secret

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_the_second_run_changes_nothing(room: Room) -> None:
    again = {f"app {step.name}": room.app.step(step, secret(step)) for step in app_host(room.app)}
    for step in gpu_host_alone(room.gpu, room.app):
        again[f"gpu {step.name}"] = room.gpu.step(step, secret(step))

    firsts = {name: said.splitlines()[0] for name, said in again.items()}
    assert firsts == {name: f"{name.split(' ')[1]}: unchanged" for name in again}


def test_what_stood_on_the_machine_before_is_taken_back_or_kept_as_it_should(room: Room) -> None:
    app = room.app

    assert app.inside("cat /root/.ssh/authorized_keys") == app.key.public
    assert "3306" not in app.inside("ufw show added")
    assert json.loads(app.inside("cat /etc/docker/daemon.json")) == {
        "runtimes": {"nvidia": {"path": "nvidia-container-runtime"}},
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-file": "3", "max-size": "10m"},
    }
    assert app.inside("systemctl is-active nginx || true; systemctl is-enabled nginx || true").split() == [
        "inactive",
        "disabled",
    ]


def test_containers_find_their_folders_with_the_right_owner(room: Room) -> None:
    modes = room.app.inside("stat -c '%n %u:%g %a' /srv/comfyume/* /etc/comfyume/auth").splitlines()

    assert "/srv/comfyume/redis 10001:10001 700" in modes
    assert "/srv/comfyume/queue 10001:10001 750" in modes
    assert "/etc/comfyume/auth 0:0 755" in modes
    assert room.gpu.inside(f"stat -c '%u:%g %a' /mnt/scratch/workers/{WORKERS[0]}") == "10001:10001 750"


def test_security_updates_come_by_themselves_but_never_docker_the_driver_or_a_restart(room: Room) -> None:
    read = room.app.inside("apt-config dump").splitlines()

    assert 'APT::Periodic::Unattended-Upgrade "1";' in read
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in read
    assert {f'Unattended-Upgrade::Package-Blacklist:: "{name}";' for name in ("docker-", "nvidia-")} <= set(read)


def test_a_secret_file_arrives_whole_for_its_owner_alone(room: Room) -> None:
    step = ensure.ensure_file("/etc/comfyume/secrets/token", mode="0400", owner="10001:10001", secret="token")

    first, second = room.app.step(step, b"canary'$(id)\n"), room.app.step(step, b"canary'$(id)\n")
    empty = room.app.refusal(step)

    assert "changed" in first
    assert second.endswith(": unchanged")
    assert "nothing arrived" in empty
    assert room.app.inside("stat -c '%u:%g %a' /etc/comfyume/secrets/token") == "10001:10001 400"
    assert room.app.inside("cat /etc/comfyume/secrets/token") == "canary'$(id)"


VENDOR = r"""
set -eu
mkdir -p /tmp/vendor/content/opt /tmp/vendor/content/DEBIAN /root/apt-away
mv /etc/apt/sources.list* /root/apt-away/  # the distribution's own are out of reach here, and not what is tried
mkdir -p /etc/apt/sources.list.d
cd /tmp/vendor
echo 'from the vendor' > content/opt/comfyume-try
printf 'Package: comfyume-try
Version: 1
Architecture: all
Maintainer: vendor
Description: try
' > content/DEBIAN/control
dpkg-deb --build content try.deb
{ cat content/DEBIAN/control
  printf 'Filename: ./try.deb
Size: %s
SHA256: %s
' "$(stat -c %s try.deb)" "$(sha256sum try.deb | cut -d' ' -f1)"
} > Packages
{ printf 'Date: %s
SHA256:
' "$(date -Ru)"
  printf ' %s %s Packages
' "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)"
} > Release
gpg --batch --passphrase '' --quick-generate-key vendor ed25519 sign never
gpg --batch --armor --export vendor > key.asc
gpg --batch --clearsign --output InRelease Release
chmod -R a+rX /tmp/vendor
"""
"""A vendor's package source on the machine's own disk: one package, signed."""


def test_a_vendors_package_is_installed_with_the_vendors_own_key_alone(room: Room) -> None:
    room.app.inside(VENDOR)
    fingerprint = room.app.inside(
        "gpg --list-keys --with-colons vendor | sed -n 's/^fpr:*\\([0-9A-F]*\\):$/\\1/p' | head -n 1"
    )

    stranger, first, second = _vendor_step("0" * 40), _vendor_step(fingerprint), _vendor_step(fingerprint)

    assert "is not the one with fingerprint" in room.app.refusal(stranger)
    assert room.app.try_inside("ls /etc/apt/sources.list.d/vendor.list").returncode != 0
    assert room.app.step(first) == "vendor: changed (installed comfyume-try)"
    assert room.app.step(second) == "vendor: unchanged"
    assert room.app.inside("cat /opt/comfyume-try") == "from the vendor"


def _vendor_step(fingerprint: str) -> Step:
    source = f"vendor_source vendor file:///tmp/vendor/key.asc {fingerprint} 'file:/tmp/vendor ./'"
    body = f"[ -e /opt/comfyume-try ] || {source}\ninstall_missing comfyume-try\n"
    return Step("vendor", script("vendor", INSTALL_MISSING + VENDOR_SOURCE + body), "")


def test_a_service_that_is_not_there_or_a_number_that_is_taken_is_said(room: Room) -> None:
    assert "no service redis" in room.app.refusal(ensure.ensure_service_running("redis"))
    assert "belongs to the user comfyume already" in room.app.refusal(ensure.ensure_user("other", 10001))
    assert "has number 10001 where 10002 is due" in room.app.refusal(ensure.ensure_user("comfyume", 10002))
