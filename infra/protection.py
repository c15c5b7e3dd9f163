"""What holds data, and may neither be deleted nor replaced unless the operator names it.

A protected resource stops the preview, not only the update: Pulumi refuses to plan its deletion or replacement.
"""

from infra.settings_sections import ProtectionSettings


def is_protected(logical_name: str, settings: ProtectionSettings) -> bool:
    """Whether the resource of that logical name may not be deleted or replaced in this `up`."""
    return settings.enabled and logical_name not in settings.allow_replacement


def first_boot_is_kept(logical_name: str, settings: ProtectionSettings) -> bool:
    """Whether a machine keeps the first-boot settings it was made with, whatever the program says today."""
    return logical_name in settings.keep_as_built
