"""Every step there is, with made-up facts: what the tests of shell texts and of their documentation go through."""

from infra.remote import ensure
from infra.remote.bootstrap import AppHostFacts, GpuHostFacts, app_host_steps, gpu_host_steps
from infra.remote.ensure.backups import CONFIGURATION
from infra.remote.steps import Step

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDO16MNvvzBLpiWUyRb0r3Cgh8iOmvCPu5f4fdlJL3bE"

APP_HOST = AppHostFacts(
    name="comfyume-staging-app",
    authorized_keys=(KEY,),
    data_device="/dev/disk/by-id/scsi-0HC_Volume_1",
    format_blank_data_volume=True,
    expected_tailnet_address="100.64.0.1",
    rustdesk=True,
)
GPU_HOST = GpuHostFacts(
    name="comfyume-staging-gpu-1",
    authorized_keys=(KEY,),
    mount_command="sudo mount -t nfs -o nconnect=16 nfs.fin-01.example.org:/SFS-a /mnt/SFS-a",
    workers=("gpu-1-worker-1",),
    further_keys=("backup",),
    app_host_address="192.0.2.1",
    app_host_key=KEY,
    scratch_device="/dev/vdb",
)


def all_steps() -> dict[str, Step]:
    """By name; what carries a host's, worker's or file's name carries HOST, WORKER or FILE."""
    further = (
        ensure.ensure_file("/etc/FILE", mode="0400", owner="10001:10001", name="file-FILE"),
        ensure.ensure_key_recipient("HOST", KEY),
        ensure.ensure_no_key_recipient("HOST"),
        ensure.ensure_worker_key("HOST", "WORKER", "token"),
        ensure.ensure_backup_command(),
        ensure.ensure_schedules(CONFIGURATION),
    )
    return {step.name: step for step in (*app_host_steps(APP_HOST), *gpu_host_steps(GPU_HOST), *further)}
