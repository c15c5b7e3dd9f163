"""Nodes that read and write picture files. Reading goes through FFmpeg first and Pillow second, as in ComfyUI."""

import hashlib
import json
import random
import string
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from services.worker.rehearsal.folders import Folders, OutsideFolder
from services.worker.rehearsal.nodes.registry import NodeResult, NodeRun, node
from services.worker.rehearsal.picture_files import read_picture
from services.worker.rehearsal.pixels import Pixels, to_bytes

REHEARSAL_NOTE = "This file was made by the rehearsal engine; no model ran."


def file_hash(folders: Folders, image: str, **_: Any) -> str:
    """The content's hash: a changed file makes its loader run again."""
    with folders.input_path(image).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_exists(folders: Folders, image: str | None = None, **_: Any) -> bool | str:
    """True, or the sentence ComfyUI gives for a missing file."""
    try:
        if image is not None and folders.input_path(image).exists():
            return True
    except OutsideFolder:
        pass
    return f"Invalid image file: {image}"


@node("LoadImage", "LoadImageOutput", fingerprint=file_hash, validate=file_exists, validated=["image"])
def load_image(run: NodeRun, *, image: str) -> tuple[Pixels, Pixels]:
    """Picture and mask; the mask is 1 where the picture is transparent, or 64 x 64 zeros without alpha."""
    return read_picture(run.folders.input_path(image))


@node("LoadImageMask", fingerprint=file_hash, validate=file_exists, validated=["image"])
def load_image_mask(run: NodeRun, *, image: str, channel: str) -> tuple[Pixels]:
    """One channel as a mask; alpha is inverted as in LoadImage."""
    pixels, mask = read_picture(run.folders.input_path(image))
    if channel == "alpha":
        return (mask,)
    return (pixels[..., {"red": 0, "green": 1, "blue": 2}[channel]].copy(),)


@node("SaveImage")
def save_image(run: NodeRun, *, images: Pixels, filename_prefix: str = "ComfyUI") -> NodeResult:
    """Write PNG files to output/, numbered after those that are there."""
    return NodeResult((images,), {"images": save_pngs(run, images, "output", filename_prefix, compress_level=4)})


@node("PreviewImage")
def preview_image(run: NodeRun, *, images: Pixels) -> NodeResult:
    """Write PNG files to temp/ under a random name."""
    return NodeResult((images,), {"images": preview_pngs(run, images)})


def preview_pngs(run: NodeRun, images: Pixels) -> list[dict[str, str]]:
    """Write PNG files to temp/ under a random name and return their entries for the UI."""
    letters = "".join(random.choices(string.ascii_lowercase, k=5))  # noqa: S311 - a file name, no secret
    return save_pngs(run, images, "temp", f"ComfyUI_temp_{letters}", compress_level=1)


def save_pngs(run: NodeRun, images: Pixels, kind: str, prefix: str, compress_level: int) -> list[dict[str, str]]:
    """Write one PNG a picture and return their entries for the UI."""
    height, width = images.shape[1:3]
    place = run.folders.save_place(kind, prefix, width, height)
    entries = []
    for number, pixels in enumerate(images):
        stem = place.stem.replace("%batch_num%", str(number))
        name = f"{stem}_{place.counter + number:05}_.png"
        picture = Image.fromarray(to_bytes(pixels))
        picture.save(place.folder / name, pnginfo=png_text(run), compress_level=compress_level)
        entries.append({"filename": name, "subfolder": place.subfolder, "type": kind})
    return entries


def png_text(run: NodeRun) -> PngInfo:
    """The text chunks ComfyUI writes, and one that says this was a rehearsal."""
    info = PngInfo()
    info.add_text("prompt", json.dumps(run.graph))
    for key, value in (run.extra_pnginfo or {}).items():
        info.add_text(key, json.dumps(value))
    info.add_text("rehearsal", REHEARSAL_NOTE)
    return info
