"""What the steps refuse to be made for, in a sentence, before any machine is touched."""

from collections.abc import Callable

import pytest
from ruamel.yaml import YAML

from infra.remote import ensure
from infra.remote.cloud_init import LONGEST_USER_DATA, render_cloud_init
from infra.remote.ensure.access import firewall_rules
from services.domain.errors import InvalidInput
from tests.support.machine_steps import KEY

VOLUME = "/dev/disk/by-id/scsi-0HC_Volume_1"

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "the distribution's Docker": (lambda: ensure.ensure_packages("jq", "docker.io"), "docker.io"),
    "a package that is an option": (lambda: ensure.ensure_packages("--purge"), "a package"),
    "a service called sshd": (lambda: ensure.ensure_service_running("sshd"), "called ssh"),
    "no key at all": (lambda: ensure.ensure_authorized_keys([]), "empty"),
    "a key with options": (lambda: ensure.ensure_authorized_keys([f'command="id" {KEY}']), "malformed"),
    "two keys in one": (lambda: ensure.ensure_authorized_keys([f"{KEY}\n{KEY}"]), "malformed"),
    "a device that changes": (lambda: ensure.ensure_data_volume("/dev/sdb", "/srv/x", format_when_blank=True), "by-id"),
    "a device that is no device": (lambda: ensure.ensure_scratch("/etc", "/mnt/x", format_when_blank=True), "/dev/"),
    "a mount point with a space": (lambda: ensure.ensure_data_volume(VOLUME, "/a b", format_when_blank=False), "mount"),
    "a share without a server": (lambda: ensure.ensure_shared_filesystem("/SFS-a", "/mnt/sfs"), "server:/path"),
    "a share that is a command": (lambda: ensure.ensure_shared_filesystem("a:/b;id", "/mnt/sfs"), "server:/path"),
    "a host that is a path": (lambda: ensure.ensure_key_recipient("../x", KEY), "the name of a host"),
    "a worker that is a pattern": (lambda: ensure.ensure_worker_key("gpu-1", "w.*", "token"), "the name of a host"),
    "a recipient without a key": (lambda: ensure.ensure_key_recipient("gpu-1", "nonsense"), "malformed"),
    "an app host without a key": (
        lambda: ensure.ensure_keyring("gpu-1", ["w"], app_host_address="192.0.2.1", app_host_key="x"), "malformed"),
    "an app host that is an option": (
        lambda: ensure.ensure_keyring("gpu-1", ["w"], app_host_address="-oProxy=id", app_host_key=KEY), "address"),
    "a calendar of two lines": (
        lambda: ensure.ensure_schedules([ensure.Schedule("hourly", "*:00\nExecStart=id")]), "one line"),
    "a schedule that is a path": (lambda: ensure.ensure_schedules([ensure.Schedule("../x", "daily")]), "a schedule"),
    "a checksum that is none": (
        lambda: ensure.ensure_file("/etc/x", mode="0644", owner="root:root", sha256="abc"), "SHA-256"),
    "a mode of three digits": (lambda: ensure.ensure_directories(ensure.Directory("/x", mode="755")), "mode is"),
    "a tailnet name that is an option": (lambda: ensure.ensure_tailnet(name="-x"), "name in the tailnet"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_a_step_is_refused_for(case: str) -> None:
    make, words = REFUSED[case]

    with pytest.raises(InvalidInput) as refusal:
        make()

    assert words in refusal.value.message


@pytest.mark.parametrize(
    "command",
    [
        "sudo mount -t nfs -o nconnect=16 nfs.fin-01.example.org:/SFS-a-1 /mnt/SFS-a-1",
        "mount -t nfs4 -o nconnect=16,vers=4.2 nfs.fin-01.example.org:/SFS-a-1 /mnt/sfs",
    ],
)
def test_the_source_is_read_out_of_the_full_mount_command(command: str) -> None:
    assert ensure.mount_source(command) == "nfs.fin-01.example.org:/SFS-a-1"


@pytest.mark.parametrize("command", ["", "mount /dev/vdb /mnt", "mount a:/b c:/d", "a:/b;id"])
def test_a_mount_command_without_exactly_one_source_is_refused(command: str) -> None:
    with pytest.raises(InvalidInput, match="names no single server:/path"):
        ensure.mount_source(command)


def test_rustdesk_is_closed_unless_it_is_asked_for() -> None:
    assert not [rule for rule in firewall_rules(public_web=True, rustdesk=False) if "211" in rule]


@pytest.mark.parametrize("distribution", ["debian", "ubuntu"])
def test_the_first_boot_holds_keys_and_vendors_packages_and_no_secret(distribution: str) -> None:
    text = render_cloud_init([KEY], distribution=distribution)
    read = YAML(typ="safe").load(text)

    assert text.startswith("#cloud-config\n")
    assert read["users"][0] == {"name": "root", "lock_passwd": True, "ssh_authorized_keys": [KEY]}
    assert {"docker-ce", "tailscale", "ufw", "fail2ban", "unattended-upgrades"} <= set(read["packages"])
    assert "docker.io" not in read["packages"]
    assert all(f"/{distribution} " in source["source"] for source in read["apt"]["sources"].values())
    assert not any(word in text for word in ("tskey", "PRIVATE KEY", "tailscale, up", "password"))


def test_the_first_boot_is_refused_for_what_no_machine_could_read() -> None:
    with pytest.raises(InvalidInput, match="distribution"):
        render_cloud_init([KEY], distribution="arch")
    with pytest.raises(InvalidInput, match="authorized keys are empty"):
        render_cloud_init([], distribution="ubuntu")
    with pytest.raises(InvalidInput, match=str(LONGEST_USER_DATA)):
        render_cloud_init([KEY] * 1000, distribution="ubuntu")


def test_a_key_cannot_add_lines_to_the_first_boot() -> None:
    with pytest.raises(InvalidInput, match="malformed"):
        render_cloud_init([f"{KEY}\nruncmd: [id]"], distribution="ubuntu")
