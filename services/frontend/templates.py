"""The template workflows in the page's Load menu: read-only, from the MIT-licensed package of ComfyUI's makers.

Opening one makes a copy in the page; saving that goes to the participant's own folder. A newer package never touches
what somebody saved.
"""

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zlib import crc32

from services.domain.errors import NotFound

PACKAGE = "comfyui_workflow_templates_json"

OFFERED = (
    "image_flux2_text_to_image_9b",
    "image_flux2_klein_text_to_image",
    "video_ltx2_t2v",
    "video_ltx2_t2v_distilled",
    "basic_mask_operations_and_compositing",
)
"""Product requirement, section 5: Flux.2 Klein 9B and 4B, LTX-2 and its distilled form, one example."""

CARD_ENDINGS = (".webp", ".png", ".jpg", ".mp4", ".mp3", ".gif")


def read(name: str) -> tuple[bytes, str]:
    """The template list, one offered template, or the picture on its card; bytes and content type.

    Raises:
        NotFound: nothing of that name is offered.
    """
    stem = name.rpartition(".")[0]
    if name == "index.json":
        return _index(), "application/json"
    if name.endswith(".json") and stem in OFFERED:
        return _folder().joinpath(name).read_bytes(), "application/json"
    title = _titles().get(stem.rstrip("0123456789").removesuffix("-"))
    if title is not None and name.endswith(CARD_ENDINGS):
        return card(title), "image/svg+xml"
    raise NotFound("template: there is none of that name; look at the list.")


def _folder() -> Path:
    return Path(str(files(PACKAGE))) / "templates"


@lru_cache(maxsize=1)
def _index() -> bytes:
    """The package's own list, cut down to what is offered here."""
    groups: list[dict[str, Any]] = json.loads(_folder().joinpath("index.json").read_bytes())
    kept = []
    for group in groups:
        chosen = [entry for entry in group["templates"] if entry["name"] in OFFERED]
        if chosen:
            kept.append({**group, "templates": chosen})
    return json.dumps(kept).encode()


@lru_cache(maxsize=1)
def _titles() -> dict[str, str]:
    return {entry["name"]: entry["title"] for group in json.loads(_index()) for entry in group["templates"]}


def card(title: str) -> bytes:
    """A plain picture for a template's card, of a colour that follows from its title, which the page writes below.

    The package comes without its makers' pictures.
    """
    hue = crc32(title.encode()) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400"><rect width="400" height="400" fill="#232326"/>'
        f'<g fill="hsl({hue} 80% 65%)" stroke="hsl({hue} 80% 65%)"><circle cx="60" cy="200" r="10"/>'
        '<circle cx="340" cy="200" r="10"/><path d="M70 200C160 110 240 290 330 200" fill="none" stroke-width="4"/>'
        "</g></svg>"
    ).encode()
