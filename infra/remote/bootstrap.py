"""Which steps prepare which machine, and in which order. Pure: facts in, steps out; components run them over SSH.

The order carries the rules learned the hard way: the way in comes first, so that a machine whose disk will not mount
can still be reached; mounts come before folders; the identity is restored before the tailnet is joined.
"""

from dataclasses import dataclass

from infra.remote import ensure
from infra.remote.ensure.backups import CONFIGURATION, IMAGES
from infra.remote.steps import Step

CONTAINER_USER = 10001
CONTAINER_OWNER = f"{CONTAINER_USER}:{CONTAINER_USER}"
DATA = "/srv/comfyume"
CONFIGURATION_FOLDER = "/etc/comfyume"
SHARED = "/mnt/sfs"
SCRATCH = "/mnt/scratch"

PACKAGES = (
    "ca-certificates", "curl", "e2fsprogs", "fail2ban", "gpg", "jq", "openssh-server", "python3-systemd", "ufw",
    "unattended-upgrades", "util-linux",
)  # fmt: skip
GPU_PACKAGES = ("keyutils", "nfs-common")


@dataclass(frozen=True, kw_only=True)
class AppHostFacts:
    """What the app host's steps depend on."""

    name: str
    """Its name in the tailnet."""
    authorized_keys: tuple[str, ...]
    """Public keys of the operators: exactly these may log in."""
    data_device: str
    """The data volume below /dev/disk/by-id/."""
    format_blank_data_volume: bool
    data_volume_gb: int = 0
    """Its declared size: a change makes the file system grow with the volume."""
    expected_tailnet_address: str | None = None
    rustdesk: bool = False


@dataclass(frozen=True, kw_only=True)
class GpuHostFacts:
    """What a GPU host's steps depend on."""

    name: str
    authorized_keys: tuple[str, ...]
    """Public keys of the operators, and of the app host where it has to get in."""
    mount_command: str
    """The shared filesystem's full mount command, as the provider's API gives it for this instance."""
    workers: tuple[str, ...]
    further_keys: tuple[str, ...] = ()
    """What else the app host hands to this machine, into memory like the workers' keys: the backup's."""
    app_host_address: str
    """Where the app host answers SSH without the tailnet: keys are fetched at boot, before that is up."""
    app_host_key: str
    """The app host's SSH host key, as its HostKey learned it."""
    scratch_device: str | None = None
    format_blank_scratch: bool = False
    expected_tailnet_address: str | None = None


def app_host_steps(facts: AppHostFacts) -> tuple[Step, ...]:
    """Everything between a booted app host and its first container; run one after the other."""
    return (
        ensure.ensure_first_boot_done(),
        ensure.ensure_packages(*PACKAGES),
        *_way_in(facts.authorized_keys, public_web=True, rustdesk=facts.rustdesk),
        ensure.ensure_data_volume(
            facts.data_device,
            DATA,
            format_when_blank=facts.format_blank_data_volume,
            size_gb=facts.data_volume_gb,
        ),
        *_engine(),
        ensure.ensure_directories(*app_host_directories()),
        ensure.ensure_restored(),
        ensure.ensure_tailnet(name=facts.name, expected_address=facts.expected_tailnet_address),
        ensure.ensure_key_dispenser(),
        ensure.ensure_schedules((*CONFIGURATION, *IMAGES)),
    )


def gpu_host_steps(facts: GpuHostFacts) -> tuple[Step, ...]:
    """Everything between a running instance and its first worker; run one after the other.

    The app host has to know the GPU host as a key recipient, with a key for each worker, before the last steps.
    """
    source = ensure.mount_source(facts.mount_command)
    scratch = (
        (ensure.ensure_scratch(facts.scratch_device, SCRATCH, format_when_blank=facts.format_blank_scratch),)
        if facts.scratch_device
        else ()
    )
    return (
        ensure.ensure_first_boot_done(),
        ensure.ensure_packages(*sorted((*PACKAGES, *GPU_PACKAGES))),
        *_way_in(facts.authorized_keys, public_web=False, rustdesk=False),
        ensure.ensure_shared_filesystem(source, SHARED),
        *scratch,
        *_engine(),
        ensure.ensure_directories(*gpu_host_directories(facts.workers)),
        ensure.ensure_restored(),
        ensure.ensure_tailnet(name=facts.name, expected_address=facts.expected_tailnet_address),
        ensure.ensure_keyring(
            facts.name,
            (*facts.workers, *facts.further_keys),
            app_host_address=facts.app_host_address,
            app_host_key=facts.app_host_key,
        ),
        ensure.ensure_schedules(CONFIGURATION),
    )


def app_host_directories() -> tuple[ensure.Directory, ...]:
    """What containers keep, owned by their user, and what is deployed to them, owned by root."""
    kept = tuple(
        ensure.Directory(f"{DATA}/{name}", CONTAINER_OWNER, mode)
        for name, mode in (("redis", "0700"), ("queue", "0750"), ("workspaces", "0750"), ("published", "0755"))
    )
    deployed = tuple(
        ensure.Directory(f"{CONFIGURATION_FOLDER}/{name}")
        for name in ("edge", "auth", "auth/accounts", "queue", "queue/credentials", "secrets", "admin")
    )
    return (*kept, ensure.Directory(CONFIGURATION_FOLDER), *deployed)


def gpu_host_directories(workers: tuple[str, ...]) -> tuple[ensure.Directory, ...]:
    """Each worker's own folder on the scratch disk."""
    own = tuple(ensure.Directory(f"{SCRATCH}/workers/{worker}", CONTAINER_OWNER, "0750") for worker in workers)
    return (ensure.Directory(CONFIGURATION_FOLDER), ensure.Directory(f"{SCRATCH}/workers"), *own)


def _way_in(keys: tuple[str, ...], *, public_web: bool, rustdesk: bool) -> tuple[Step, ...]:
    """Who gets in, before anything else can fail. Images bring web servers along, which would hold port 80."""
    return (
        ensure.ensure_service_running("ssh"),
        ensure.ensure_authorized_keys(keys),
        ensure.ensure_ssh_hardened(),
        ensure.ensure_firewall(public_web=public_web, rustdesk=rustdesk),
        ensure.ensure_fail2ban(),
        ensure.ensure_unattended_upgrades(),
        ensure.ensure_service_stopped("nginx"),
        ensure.ensure_service_stopped("apache2"),
    )


def _engine() -> tuple[Step, ...]:
    """Docker, the program for the tailnet, and a name for the user that containers run as."""
    return (ensure.ensure_docker(), ensure.ensure_tailscale(), ensure.ensure_user("comfyume", CONTAINER_USER))
