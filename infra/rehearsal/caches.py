"""Where things are kept that cost minutes to make and belong to no checkout: below the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(*names: str) -> Path:
    """`$XDG_CACHE_HOME/comfyume/<names>` (`~/.cache` where that is unset), made if it is missing."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("comfyume", *names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
