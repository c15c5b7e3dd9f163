"""Verda's resources for the program, and the provider classes behind them.

The state names each provider by module and class: these names stay importable for as long as any stack lives.
"""

from infra.verda.deployments import VerdaDeployment, VerdaDeploymentProvider, VerdaSecret, VerdaSecretProvider
from infra.verda.disks import (
    VerdaScratchAttachment,
    VerdaScratchAttachmentProvider,
    VerdaVolume,
    VerdaVolumeProvider,
    VerdaVolumeShare,
    VerdaVolumeShareProvider,
)
from infra.verda.instances import (
    VerdaInstance,
    VerdaInstanceProvider,
    VerdaInstanceReady,
    VerdaInstanceReadyProvider,
)
from infra.verda.keys import VerdaSshKey, VerdaSshKeyProvider, VerdaStartupScript, VerdaStartupScriptProvider

__all__ = [
    "VerdaDeployment",
    "VerdaDeploymentProvider",
    "VerdaInstance",
    "VerdaInstanceProvider",
    "VerdaInstanceReady",
    "VerdaInstanceReadyProvider",
    "VerdaScratchAttachment",
    "VerdaScratchAttachmentProvider",
    "VerdaSecret",
    "VerdaSecretProvider",
    "VerdaSshKey",
    "VerdaSshKeyProvider",
    "VerdaStartupScript",
    "VerdaStartupScriptProvider",
    "VerdaVolume",
    "VerdaVolumeProvider",
    "VerdaVolumeShare",
    "VerdaVolumeShareProvider",
]
