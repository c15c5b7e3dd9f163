"""Where this checkout lies: images are built from it, programs are run from it."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
