"""Frames for older clients, the template list, and the one place that names the page's version."""

import json
import struct
from importlib.metadata import version

import pytest

from services.domain.errors import NotFound
from services.frontend.browser_sockets import without_metadata
from services.frontend.stock_version import FRONTEND_VERSION
from services.frontend.templates import OFFERED, read


def frame(image_type: str, image: bytes) -> bytes:
    """A preview with metadata, as ComfyUI sends it."""
    metadata = json.dumps({"node_id": "3", "image_type": image_type}).encode()
    return struct.pack(">II", 4, len(metadata)) + metadata + image


@pytest.mark.parametrize(("image_type", "number"), [("image/jpeg", 1), ("image/png", 2)])
def test_a_client_without_the_flag_gets_the_older_preview(image_type: str, number: int) -> None:
    assert without_metadata(frame(image_type, b"pixels")) == struct.pack(">II", 1, number) + b"pixels"


def test_other_frames_pass_unchanged_and_damaged_ones_not_at_all() -> None:
    text = struct.pack(">II", 3, 1) + b"3hello"
    assert without_metadata(text) == text
    assert without_metadata(b"short") is None
    assert without_metadata(struct.pack(">II", 4, 9) + b"{broken") is None


def test_the_load_menu_offers_these_templates_and_no_other() -> None:
    content, kind = read("index.json")
    listed = {entry["name"] for group in json.loads(content) for entry in group["templates"]}
    assert (listed, kind) == (set(OFFERED), "application/json")
    for name in OFFERED:
        assert json.loads(read(f"{name}.json")[0])["nodes"]


@pytest.mark.parametrize("name", ["image_flux2.json", "../index.json", "index.zh.json", "x-1.webp", ""])
def test_nothing_else_is_given_away(name: str) -> None:
    with pytest.raises(NotFound):
        read(name)


def test_every_card_has_a_picture_of_its_own() -> None:
    cards = [read(f"{name}-1.webp") for name in OFFERED]
    assert {kind for _, kind in cards} == {"image/svg+xml"}
    assert len({content for content, _ in cards}) == len(OFFERED)


def test_the_installed_page_is_the_one_that_is_named() -> None:
    assert version("comfyui-frontend-package") == FRONTEND_VERSION
