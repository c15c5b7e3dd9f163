"""The bootstrap steps on real Debian machines over real SSH: half-prepared at first, done after the first run, and
untouched by the second.

The machines are containers with systemd, sshd, ufw, fail2ban, loop devices and key rings of their own. Tailscale, NFS,
Docker's engine and the backup command are the rehearsal's stand-ins there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.rehearsal import machines
from infra.rehearsal.docker_engine import DockerUnavailable, running_engine
from infra.remote import ensure
from infra.remote.ensure.system import INSTALL_MISSING, VENDOR_SOURCE
from infra.remote.ensure.tailnet import AUTH_KEY
from infra.remote.host_key import HostKeyProvider
from infra.remote.shell import script
from infra.remote.steps import Step
from services.domain.errors import Unavailable
from tests.engine.prepared import (
    DATA_DEVICE,
    MIB,
    SCRATCH_DEVICE,
    WORKERS,
    Host,
    app_host,
    blank_image,
    formatted_image,
    gpu_host_alone,
    new_key,
    offer_keys,
    share_with,
)
from tests.support.wait import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]

JOIN_KEY = b"tskey-auth-canary"
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

TOKENS = {worker: f"cme_canary_{worker}".encode() for worker in WORKERS}
SCRATCH_POINT = "/mnt/try"


@dataclass
class Room:
    """One app host and one GPU host after the first run, and what that run said."""

    cloud: Path
    app: Host
    gpu: Host
    said: dict[str, str]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("bootstrap")
    try:
        with running_engine(folder):
            yield from _room(folder)
    except DockerUnavailable as missing:
        pytest.skip(str(missing))


def _room(cloud: Path) -> Iterator[Room]:
    key = new_key(cloud)
    share_with(cloud, "gpu-1")
    try:
        app = Host(_machine(cloud, "app", key.public, {DATA_DEVICE: blank_image(cloud, "data.img")}), key)
        gpu = Host(_machine(cloud, "gpu-1", key.public, {SCRATCH_DEVICE: blank_image(cloud, "scratch.img")}), key)
        _half_prepare(app)
        said = {f"app {step.name}": app.step(step, _secret(step.stdin_secret)) for step in app_host(app)}
        offer_keys(app, gpu, TOKENS)
        said |= {f"gpu {step.name}": gpu.step(step, _secret(step.stdin_secret)) for step in gpu_host_alone(gpu, app)}
        yield Room(cloud, app, gpu, said)
    finally:
        machines.remove_machines(cloud)


def _machine(cloud: Path, name: str, public_key: str, devices: dict[str, Path]) -> machines.Machine:
    return machines.create_machine(cloud, name, authorized_keys=[public_key], devices=devices)


def _secret(name: str | None) -> bytes:
    return {None: b"", AUTH_KEY: JOIN_KEY}[name]


def _half_prepare(app: Host) -> None:
    """What an image, a provider or a hand may have left on a machine before the first step."""
    app.inside("ufw allow 3306/tcp && mkdir -p /etc/docker /etc/comfyume")
    app.inside("""printf '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}' > /etc/docker/daemon.json""")
    app.inside("echo 'ssh-ed25519 AAAAstranger stranger' >> /root/.ssh/authorized_keys")
    app.inside("echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf")
    app.inside("mkdir /etc/fail2ban/jail.d/comfyume.local")  # as Docker makes one for a mount without a source
    app.inside("printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n'"
               " > /etc/systemd/system/nginx.service && systemctl enable --now nginx")  # fmt: skip


def test_the_second_run_changes_nothing(room: Room) -> None:
    again = {f"app {step.name}": room.app.step(step, _secret(step.stdin_secret)) for step in app_host(room.app)}
    for step in gpu_host_alone(room.gpu, room.app):
        again[f"gpu {step.name}"] = room.gpu.step(step, _secret(step.stdin_secret))

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


def test_only_keys_open_the_machine_and_many_connections_at_once_are_welcome(room: Room) -> None:
    settings = room.app.inside("sshd -T").splitlines()

    assert {"passwordauthentication no", "maxstartups 100:30:200", "maxsessions 100"} <= set(settings)
    assert "permitrootlogin without-password" in settings


def test_hardening_is_refused_while_nobody_could_log_in_by_key(room: Room) -> None:
    hidden = "mv /root/.ssh/authorized_keys /root/.ssh/away"
    try:
        room.app.inside(hidden)
        done = room.app.try_inside(ensure.ensure_ssh_hardened().shell)
    finally:
        room.app.inside("mv /root/.ssh/away /root/.ssh/authorized_keys")

    assert done.returncode == 1
    assert "no authorized key" in done.stderr


def test_the_firewall_is_closed_but_for_what_is_declared(room: Room) -> None:
    assert room.app.inside("ufw show added | sed -n 's/^ufw //p'").splitlines() == [
        "allow in on tailscale0", "allow 22/tcp", "allow 41641/udp", "allow 80/tcp", "allow 443/tcp",
    ]  # fmt: skip
    for host in (room.app, room.gpu):
        rules = host.inside("iptables -S")
        assert "-P INPUT DROP" in rules
        assert "--hashlimit-name comfyume-ssh -j DROP" in rules
        assert host.inside("ufw status | head -n 1") == "Status: active"
    assert "443" not in room.gpu.inside("ufw show added")


def test_whoever_guesses_is_shut_out(room: Room) -> None:
    guess = f"ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no admin@{room.app.machine.address} true"
    room.gpu.inside(f"for attempt in 1 2 3 4 5 6; do {guess} & done; wait")

    address = room.gpu.machine.address
    wait_for(lambda: address in room.app.inside("fail2ban-client status sshd"), "fail2ban to shut the sender out", 240)
    room.app.inside(f"fail2ban-client unban {address}")


def test_containers_find_their_folders_with_the_right_owner(room: Room) -> None:
    modes = room.app.inside("stat -c '%n %u:%g %a' /srv/comfyume/* /etc/comfyume/auth").splitlines()

    assert "/srv/comfyume/redis 10001:10001 700" in modes
    assert "/srv/comfyume/queue 10001:10001 750" in modes
    assert "/etc/comfyume/auth 0:0 755" in modes
    assert room.gpu.inside(f"stat -c '%u:%g %a' /mnt/scratch/workers/{WORKERS[0]}") == "10001:10001 750"


def test_a_blank_volume_is_not_formatted_unless_that_is_asked_for(room: Room) -> None:
    image = blank_image(room.cloud, "blank.img")
    room.app.attach("/dev/disk/by-id/blank", image)

    said = room.app.refusal(ensure.ensure_data_volume("/dev/disk/by-id/blank", SCRATCH_POINT, format_when_blank=False))

    assert "is blank, and formatting was not asked for" in said
    assert image.read_bytes() == bytes(48 * MIB)
    assert SCRATCH_POINT not in room.app.inside("cat /etc/fstab")


@pytest.mark.parametrize("beginning", [b"\0" * MIB + b"somebody's bytes", b"\0" * 4086 + b"SWAPSPACE2"])
def test_a_volume_with_anything_on_it_is_never_formatted(room: Room, beginning: bytes) -> None:
    name = f"full-{len(beginning)}"
    image = blank_image(room.cloud, name)
    with image.open("r+b") as file:
        file.write(beginning)
    before = image.read_bytes()
    room.app.attach(f"/dev/disk/by-id/{name}", image)

    said = room.app.refusal(ensure.ensure_data_volume(f"/dev/disk/by-id/{name}", SCRATCH_POINT, format_when_blank=True))

    assert "nothing was" in said
    assert image.read_bytes() == before


def test_a_volume_with_a_file_system_is_mounted_as_it_is_and_grows_with_its_device(room: Room) -> None:
    image = formatted_image(room.cloud, "used.img")
    with image.open("r+b") as file:
        file.truncate(64 * MIB)
    room.gpu.attach("/dev/disk/by-id/used", image)

    step = ensure.ensure_scratch("/dev/disk/by-id/used", SCRATCH_POINT, format_when_blank=True)
    first, second = room.gpu.step(step), room.gpu.step(step)

    assert room.gpu.inside(f"cat {SCRATCH_POINT}/kept") == "work of a day"
    assert "formatted" not in first
    assert "grown to the size of the volume" in first
    assert second == "scratch: unchanged"
    room.gpu.inside(f"umount {SCRATCH_POINT} && sed -i '\\|{SCRATCH_POINT}|d' /etc/fstab")


def test_a_copy_of_a_volume_on_the_same_machine_is_refused(room: Room) -> None:
    for number in ("1", "2"):
        image = blank_image(room.cloud, f"twin-{number}.img")
        if number == "1":
            original = formatted_image(room.cloud, "twin-original.img")
        image.write_bytes(original.read_bytes())
        room.gpu.attach(f"/dev/disk/by-id/twin-{number}", image)

    said = room.gpu.refusal(ensure.ensure_scratch("/dev/disk/by-id/twin-1", SCRATCH_POINT, format_when_blank=False))

    assert "the same UUID" in said


def test_another_volume_at_the_mount_point_is_left_alone(room: Room) -> None:
    image = formatted_image(room.cloud, "second.img")
    room.app.attach("/dev/disk/by-id/second", image)

    said = room.app.refusal(
        ensure.ensure_data_volume("/dev/disk/by-id/second", "/srv/comfyume", format_when_blank=True)
    )

    assert "is mounted at /srv/comfyume" in said
    assert room.app.step(app_step(room, "data-volume")) == "data-volume: unchanged"


def test_the_share_is_mounted_with_many_connections_and_docker_waits_for_it(room: Room) -> None:
    line = next(line for line in room.gpu.inside("cat /etc/fstab").splitlines() if "/mnt/sfs" in line)

    assert line.startswith("nfs.fin-01.example.org:/SFS-class /mnt/sfs nfs ")
    assert {"nconnect=16", "_netdev", "nofail"} <= set(line.split()[3].split(","))
    assert "/mnt/sfs" in room.gpu.inside("systemctl show --property=RequiresMountsFor docker.service")


def test_a_share_that_is_not_shared_with_this_machine_says_so(room: Room) -> None:
    said = room.app.refusal(ensure.ensure_shared_filesystem("nfs.fin-01.example.org:/SFS-class", "/mnt/not-mine"))

    assert "Share the volume with this instance" in said
    room.app.inside("sed -i '\\|/mnt/not-mine|d' /etc/fstab; rm -r /etc/systemd/system/docker.service.d/*-shared-*")


def test_a_renamed_share_replaces_the_old_mount(room: Room) -> None:
    storage = room.cloud / "storage"
    (storage / "shares" / "SFS-renamed").mkdir()
    (storage / "exports.json").write_text(json.dumps({"/SFS-class": ["gpu-1"], "/SFS-renamed": ["gpu-1"]}))
    renamed = ensure.ensure_shared_filesystem("nfs.fin-01.example.org:/SFS-renamed", "/mnt/sfs")

    said, again = room.gpu.step(renamed), room.gpu.step(renamed)

    assert "no longer nfs.fin-01.example.org:/SFS-class" in said
    assert again == "shared-filesystem: unchanged"
    assert room.gpu.inside("grep -c /mnt/sfs /etc/fstab") == "1"
    room.gpu.step(gpu_step(room, "shared-filesystem"))


def test_the_tailnet_step_ends_with_the_address_and_shows_the_key_to_nobody(room: Room) -> None:
    assert room.said["app tailnet"].splitlines()[-1] == room.app.machine.tailnet_address
    joined = json.loads(room.app.inside("cat /rehearsal/machine/tailscale.json"))
    assert "--ssh=false" in joined["arguments"]
    assert joined["key"] == "given"
    found = room.app.try_inside("grep -rl tskey-auth-canary /etc /root /var /usr/local /tmp /dev/shm /run 2>/dev/null")
    assert found.stdout == ""


def test_another_tailnet_address_than_expected_is_a_refusal_and_the_machine_leaves(room: Room) -> None:
    said = room.app.refusal(ensure.ensure_tailnet(name="app", expected_address="100.64.99.99"), JOIN_KEY)

    assert "where 100.64.99.99 is expected" in said
    assert json.loads(room.app.inside("cat /rehearsal/machine/tailscale.json"))["up"] is False
    rejoined = room.app.step(app_step(room, "tailnet"), JOIN_KEY)
    assert rejoined.splitlines() == ["tailnet: changed (joined)", room.app.machine.tailnet_address]


def test_joining_without_key_and_without_identity_says_what_is_missing(room: Room) -> None:
    room.gpu.inside("tailscale logout")

    said = room.gpu.refusal(gpu_step(room, "tailnet"))

    assert "No key was given and no identity was restored" in said
    assert room.gpu.step(gpu_step(room, "tailnet"), JOIN_KEY).endswith(room.gpu.machine.tailnet_address)


def test_the_keys_are_in_memory_for_their_container_and_nowhere_on_the_disk(room: Room) -> None:
    for worker, token in TOKENS.items():
        path = f"/run/comfyume/keys/{worker}/token"
        assert room.gpu.inside(f"cat {path}") == token.decode()
        assert room.gpu.inside(f"stat -c '%u:%g %a' {path}") == "10001:10001 400"
    assert room.gpu.inside("stat -f -c %T /run/comfyume/keys") == "ramfs"
    on_disk = room.gpu.try_inside("grep -rl cme_canary / --exclude-dir=proc --exclude-dir=sys --exclude-dir=run")
    assert on_disk.stdout == ""


def test_a_gpu_host_is_given_its_own_keys_whatever_it_asks_for(room: Room) -> None:
    room.app.step(ensure.ensure_key_recipient("gpu-2", room.app.host_key))
    room.app.step(ensure.ensure_worker_key("gpu-2", "gpu-2-worker-1", "token"), b"cme_canary_of_another")
    ask = (
        "ssh -n -i /etc/ssh/ssh_host_ed25519_key -o BatchMode=yes -o StrictHostKeyChecking=no "
        f"comfyume-keys@{room.app.machine.address}"
    )

    given = room.gpu.inside(f"{ask} 'cat /etc/comfyume/keys/gpu-2/*; id'")

    assert sorted(line.split()[0] for line in given.splitlines()) == sorted(WORKERS)
    assert room.gpu.try_inside(f"{ask.replace('comfyume-keys@', 'root@')} id").returncode != 0
    room.app.step(ensure.ensure_no_key_recipient("gpu-2"))
    assert room.app.try_inside("ls /etc/comfyume/keys/gpu-2").returncode != 0


def test_a_key_that_was_changed_on_the_app_host_replaces_the_one_in_memory(room: Room) -> None:
    worker = WORKERS[0]
    room.app.step(ensure.ensure_worker_key("gpu-1", worker, "token"), b"cme_canary_new")

    said = room.gpu.step(gpu_step(room, "keyring"))

    assert said == f"keyring: changed (key of {worker})"
    assert room.gpu.inside(f"cat /run/comfyume/keys/{worker}/token") == "cme_canary_new"
    room.app.step(ensure.ensure_worker_key("gpu-1", worker, "token"), TOKENS[worker])
    room.gpu.step(gpu_step(room, "keyring"))


def test_after_a_reboot_disks_keys_and_firewall_are_back_by_themselves(room: Room) -> None:
    gpu = room.gpu
    machines.restart_machine(gpu.machine)

    token = f"/run/comfyume/keys/{WORKERS[1]}/token"
    wait_for(lambda: gpu.try_inside(f"cat {token}").stdout == TOKENS[WORKERS[1]].decode(), "the key to be back")
    wait_for(lambda: "active" in gpu.try_inside("ufw status").stdout, "the firewall to be up")
    mounted = "mountpoint -q /mnt/sfs && mountpoint -q /mnt/scratch"
    wait_for(lambda: gpu.try_inside(mounted).returncode == 0, "share and scratch to be mounted")
    assert gpu.step(gpu_step(room, "keyring")) == "keyring: unchanged"


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


def test_a_secret_file_arrives_whole_for_its_owner_alone(room: Room) -> None:
    step = ensure.ensure_file("/etc/comfyume/secrets/token", mode="0400", owner="10001:10001", secret="token")

    first, second = room.app.step(step, b"canary'$(id)\n"), room.app.step(step, b"canary'$(id)\n")
    empty = room.app.refusal(step)

    assert "changed" in first
    assert second.endswith(": unchanged")
    assert "nothing arrived" in empty
    assert room.app.inside("stat -c '%u:%g %a' /etc/comfyume/secrets/token") == "10001:10001 400"
    assert room.app.inside("cat /etc/comfyume/secrets/token") == "canary'$(id)"


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


def test_the_host_key_is_learned_from_the_machine_and_kept(room: Room) -> None:
    asked = {"address": room.app.machine.address, "identity": "1", "port": 22, "host_key": None}

    made = HostKeyProvider().create(asked)

    assert made.id == "1"
    assert made.outs is not None
    assert made.outs["host_key"] == room.app.inside("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")


def test_no_session_comes_about_with_another_host_key_or_another_key(room: Room, tmp_path: Path) -> None:
    stranger = new_key(tmp_path)
    other_machine, other_key = Host(room.app.machine, room.app.key), Host(room.app.machine, stranger)
    other_machine.host_key = room.gpu.host_key

    for host in (other_machine, other_key):
        with pytest.raises(Unavailable) as failure:
            host.try_step(ensure.ensure_backup_command())
        assert room.app.machine.address in failure.value.message
        assert "PRIVATE" not in failure.value.message


def app_step(room: Room, name: str) -> Step:
    """One of the app host's steps."""
    return next(step for step in app_host(room.app) if step.name == name)


def gpu_step(room: Room, name: str) -> Step:
    """One of the GPU host's steps."""
    return next(step for step in gpu_host_alone(room.gpu, room.app) if step.name == name)
