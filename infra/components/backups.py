"""What the backup command is given on the app host: where to put things, with whose key, for whom to encrypt.

When it is called is a bootstrap step of each machine (`infra/remote/ensure/backups.py`); what it does is the backup
service's business. GPU hosts get the same from the key dispenser and keep it in memory (`gpu_fleet.py`).
"""

import json
from dataclasses import dataclass

import pulumi

from infra.components.app_host import AppHost
from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.object_storage import ObjectStorage
from infra.remote.ensure.backups import CONFIGURATION, IMAGES, Schedule
from infra.settings import StackSettings
from infra.stack import Stack
from services.domain.stack_outputs import ScheduleOutput

FOLDER = "/etc/comfyume/backup"


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """The machine whose files are kept, and the buckets that keep them."""

    stack: Stack
    app: AppHost
    storage: ObjectStorage


class Backups(pulumi.ComponentResource):
    """Two files on the app host: `settings.json`, readable, and `credentials.json`, for root alone."""

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:storage:Backups", name, None, opts)
        key = args.storage.writers["app-host"]
        host_files(
            f"{name}-app-host",
            args.app.machine,
            [
                HostFile(
                    path=f"{FOLDER}/settings.json",
                    content=backup_settings(args.stack.settings, args.stack.naming.of("app")),
                    mode="0444",
                    owner="root:root",
                ),
                HostFile(
                    path=f"{FOLDER}/credentials.json", content=credentials(key.access_key_id, key.secret_access_key),
                    owner="root:root",
                ),
            ],
            self,
            folders=[HostFolder(path=FOLDER)],
        )  # fmt: skip
        self.register_outputs({})


def backup_settings(settings: StackSettings, host: str) -> str:
    """The public half: buckets by role, endpoint, recipient, whose backups these are."""
    storage = settings.object_storage
    document = {
        "host": host,
        "endpoint": storage.endpoint,
        "buckets": {role: bucket.name for role, bucket in storage.buckets.by_role().items()},
        "recipient": settings.backup_recipient,
    }
    return json.dumps(document, indent=1)


def credentials(access_key_id: pulumi.Input[str], secret_access_key: pulumi.Input[str]) -> pulumi.Output[str]:
    """The secret half, as the backup service reads it."""
    document = {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
    return pulumi.Output.secret(pulumi.Output.json_dumps(document))


def schedules_of(stack: Stack) -> list[ScheduleOutput]:
    """When which machine is backed up, for the stack's document; the same list that the bootstrap steps install."""
    hosts: list[tuple[str, tuple[Schedule, ...]]] = [(stack.naming.of("app"), (*CONFIGURATION, *IMAGES))]
    hosts += [(stack.naming.of(f"gpu-{number}"), CONFIGURATION) for number in range(1, stack.settings.gpu.count + 1)]
    return [_described(host, schedule) for host, schedules in hosts for schedule in schedules]


def _described(host: str, schedule: Schedule) -> ScheduleOutput:
    offsite = "offsite" in schedule.name
    return ScheduleOutput(
        name=schedule.name,
        host=host,
        calendar=schedule.calendar,
        target="object-storage" if offsite else "shared-filesystem",
    )
