"""The SFS volume at Verda: models and backups that outlive every GPU host."""

from dataclasses import dataclass

import pulumi

from infra.protection import is_protected
from infra.stack import Stack
from infra.verda.resources import VerdaVolume

SHARED = "NVMe_Shared"
"""Verda's name for a volume that several instances mount over NFS."""


@dataclass(frozen=True, kw_only=True)
class SharedFilesystemArgs:
    """The volume stands where the GPU hosts do."""

    stack: Stack


class SharedFilesystem(pulumi.ComponentResource):
    """One volume, made or adopted; protected, and kept when the stack goes. None where the settings ask for none."""

    volume: VerdaVolume | None = None

    def __init__(self, name: str, args: SharedFilesystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:storage:SharedFilesystem", name, None, opts)
        settings = args.stack.settings
        if settings.shared_filesystem:
            self.volume = VerdaVolume(
                name,
                name=args.stack.naming.of("sfs"),
                type=SHARED,
                size=settings.shared_filesystem.size_gb,
                location=settings.gpu.location,
                adopt_id=settings.shared_filesystem.adopt_id,
                opts=pulumi.ResourceOptions(
                    parent=self, protect=is_protected(name, settings.protection), retain_on_delete=True
                ),
            )
        self.register_outputs({"id": self.volume.id if self.volume else None})
