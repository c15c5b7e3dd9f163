"""The page files of ComfyUI's node packs, read over its HTTP interface into one bundle for the queue manager.

ComfyUI lists the scripts only; styles, pictures and data are found by the names that stand in the scripts.
"""

import hashlib
import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from services.domain.extension_files import CONTENT_TYPES, MAX_BUNDLE_BYTES, MAX_FILES, is_extension_name
from services.kit.logs import get_logger
from services.worker.comfyui.client import ComfyUIClient

_log = get_logger(__name__)

_ROOT = "/extensions/"
_SCRIPTS = ("js", "mjs")
_NAMED = re.compile(rf"""["'`]([\w./@ -]{{1,200}}\.(?:{"|".join(sorted(CONTENT_TYPES))}))["'`?#]""")
_MOST_GUESSES = 300
"""Files of one pack that are asked for because a script names them."""

_ROOM = MAX_BUNDLE_BYTES * 3 // 4 - 2**20
"""Bytes of files that fit into a bundle once base64 has made them a third larger; the rest is for names."""


@dataclass(frozen=True)
class ExtensionBundle:
    """All packs' files as the queue manager takes them, and the digest; both empty where there are none."""

    body: bytes = b""
    sha256: str = ""


async def read_bundle(client: ComfyUIClient) -> ExtensionBundle:
    """Ask ComfyUI for its packs' files; raises httpx.HTTPError when it does not answer."""
    packs: dict[str, list[str]] = defaultdict(list)
    for address in await client.extensions():
        name = unquote(address).removeprefix(_ROOT)
        if is_extension_name(name):
            packs[name.partition("/")[0]].append(name)
    files: dict[str, bytes] = {}
    for pack, scripts in sorted(packs.items()):
        found = await _read_pack(client, pack, scripts)
        if _size(files) + _size(found) > _ROOM or len(files) + len(found) > MAX_FILES:
            _log.warning("a node pack's page files are too large together with the others'", pack=pack)
            continue
        files |= found
    if not files:
        return ExtensionBundle()
    body = msgspec.json.encode(files, order="deterministic")
    return ExtensionBundle(body, hashlib.sha256(body).hexdigest())


async def _read_pack(client: ComfyUIClient, pack: str, scripts: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    waiting, asked = sorted(scripts), set(scripts)
    while waiting:
        name = waiting.pop(0)
        content = await client.extension_file(name, _ROOM)
        if content is None:
            continue
        found[name] = content
        if name.rpartition(".")[2].lower() in _SCRIPTS:
            named = [other for other in names_in(content.decode("utf-8", "replace"), name) if other not in asked]
            named = named[: max(0, len(scripts) + _MOST_GUESSES - len(asked))]
            asked.update(named)
            waiting += named
    return {name: content for name, content in found.items() if name.startswith(f"{pack}/")}


def names_in(script: str, name: str) -> list[str]:
    """The files of the same pack that a script (itself called `name`) may mean, each once, in order of appearance."""
    pack = name.partition("/")[0]
    found: dict[str, None] = {}
    for text in _NAMED.findall(script):
        rest = text.partition("extensions/")[2] if text.lstrip("./").startswith("extensions/") else ""
        guesses = [rest] if rest else [posixpath.join(posixpath.dirname(name), text), f"{pack}/{text.lstrip('/')}"]
        for guess in map(posixpath.normpath, guesses):
            if guess.startswith(f"{pack}/") and guess != name and is_extension_name(guess):
                found[guess] = None
    return list(found)


def _size(files: dict[str, bytes]) -> int:
    return sum(map(len, files.values()))
