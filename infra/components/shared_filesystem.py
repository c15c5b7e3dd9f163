"""The SFS volume at Verda: models and backups that outlive every GPU host."""

from dataclasses import dataclass

import pulumi

from infra.naming import Naming
from infra.protection import is_protected
from infra.settings_sections import ProtectionSettings, SharedFilesystemSettings
from infra.verda.resources import VerdaVolume

SHARED = "NVMe_Shared"
"""Verda's name for a volume that several instances mount over NFS."""


@dataclass(frozen=True, kw_only=True)
class SharedFilesystemArgs:
    """`location` has to be that of the GPU hosts."""

    settings: SharedFilesystemSettings
    protection: ProtectionSettings
    naming: Naming
    location: str


class SharedFilesystem(pulumi.ComponentResource):
    """One volume, made or adopted; protected, and kept when the stack goes."""

    volume: VerdaVolume

    def __init__(self, name: str, args: SharedFilesystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:storage:SharedFilesystem", name, None, opts)
        self.volume = VerdaVolume(
            name,
            name=args.naming.of("sfs"),
            type=SHARED,
            size=args.settings.size_gb,
            location=args.location,
            adopt_id=args.settings.adopt_id,
            opts=pulumi.ResourceOptions(
                parent=self, protect=is_protected(name, args.protection), retain_on_delete=True
            ),
        )
        self.register_outputs({"id": self.volume.id})
