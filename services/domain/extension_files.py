"""The files that a node pack brings for ComfyUI's page: what they may be called and how they are served.

A worker publishes them, the queue manager keeps them, web UIs serve them; the three agree on names here.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "js": "text/javascript",
        "mjs": "text/javascript",
        "css": "text/css",
        "json": "application/json",
        "txt": "text/plain",
        "html": "text/plain",
        "svg": "image/svg+xml",
        "png": "image/png",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
        "woff": "font/woff",
        "woff2": "font/woff2",
        "ttf": "font/ttf",
        "wasm": "application/wasm",
    }
)
"""Ending -> type for the browser. HTML is text: scripts read it as a template, and nobody opens it as a page."""

RESERVED_PACKS = frozenset({"core", "comfyume"})
"""First parts that belong to the page itself and to the workshop; no pack may take their place."""

MAX_BUNDLE_BYTES = 32 * 2**20
"""All files of one worker, as JSON with base64: about 24 MB of files. Large packs of 2026 have some 5 MB."""

MAX_FILES = 4000
MAX_NAME_LENGTH = 300

_PART = re.compile(r"(?!\.)[\w.+@()\[\],~=! -]+", re.ASCII)


def is_extension_name(name: str) -> bool:
    """Whether `pack/folder/file.js` may be the name of a pack's file: plain parts, a known ending, no reserved pack."""
    parts = name.split("/")
    return (
        len(parts) >= 2
        and len(name) <= MAX_NAME_LENGTH
        and all(_PART.fullmatch(part) and part == part.strip() for part in parts)
        and parts[0].lower() not in RESERVED_PACKS
        and content_type_of(name) is not None
    )


def content_type_of(name: str) -> str | None:
    """How a browser is to take that file; None for an ending that is not served."""
    _, dot, ending = name.rpartition(".")
    return CONTENT_TYPES.get(ending.lower()) if dot else None
