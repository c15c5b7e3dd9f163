"""A folder of node packs as an engine has it: one that is in order, and two that would take the page's own place."""

from pathlib import Path

NODE_PACKS = Path(__file__).parent / "packs"
