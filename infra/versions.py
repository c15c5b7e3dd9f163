"""Which images the workshop stands on that this repository does not build: `images/versions.toml`, read once."""

import tomllib
from functools import cache

from infra.repository import REPOSITORY
from infra.settings_sections import ImageOverrides


@cache
def _versions() -> dict[str, str]:
    tables = tomllib.loads((REPOSITORY / "images" / "versions.toml").read_text(encoding="utf-8"))
    return {name: image for table in tables.values() for name, image in table.items()}


def image_named(name: str, overrides: ImageOverrides) -> str:
    """The reference of `python`, `debian`, `redis`, ...: the stack's own where it names one, else the pinned one."""
    override: str | None = getattr(overrides, name)
    return override or _versions()[name]
