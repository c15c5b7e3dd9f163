"""Draws the pictures that stand for what a model would have drawn: coloured by seed and prompt, labelled REHEARSAL.

The same latent gives the same picture, bit for bit.
"""

import hashlib
import textwrap
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from services.worker.rehearsal.pixels import Pixels, as_picture, to_bytes
from services.worker.rehearsal.values import Latent

Bytes = npt.NDArray[np.uint8]
LABEL = "REHEARSAL"
LINES_OF_PROMPT = 6
PREVIEW_SIZE = 512
"""ComfyUI's default largest side of a preview, in pixels; smaller ones are enlarged to it."""
PAN = 1
"""Columns a video moves on from frame to frame."""


def draw_pictures(latent: Latent) -> Pixels:
    """A placeholder for each picture of the batch, or the frames of a video.

    Frames are windows that move along one wide picture, so that a long video needs little memory; they are read-only.
    """
    if latent.frames > 1:
        wide = as_picture(_draw(latent, 0, latent.width + (latent.frames - 1) * PAN))
        row, column, channel = wide.strides
        shape = (latent.frames, latent.height, latent.width, 3)
        strides = (column * PAN, row, column, channel)
        return np.lib.stride_tricks.as_strided(wide, shape, strides, writeable=False)
    return np.stack([as_picture(_draw(latent, number, latent.width)) for number in range(latent.batch)])


def draw_preview(latent: Latent, done: float) -> Image.Image:
    """A small picture on the way: noise that clears up as `done` goes from 0 to 1."""
    width, height = max(latent.width // 8, 1), max(latent.height // 8, 1)
    colours = _background(latent, 0, width, height).astype(np.float32)
    noise = _random(latent, 1).integers(0, 256, (height, width, 3)).astype(np.float32)
    picture = Image.fromarray((colours * done + noise * (1 - done)).astype(np.uint8))
    return ImageOps.contain(picture, (PREVIEW_SIZE, PREVIEW_SIZE), Image.Resampling.BILINEAR)


def _draw(latent: Latent, number: int, width: int) -> Bytes:
    picture = Image.fromarray(_background(latent, number, width, latent.height))
    _write(picture, latent, number)
    return np.asarray(picture)


def _random(latent: Latent, number: int) -> np.random.Generator:
    told = f"{latent.seed}|{latent.text}|{latent.model}|{number}"
    return np.random.default_rng(list(hashlib.sha256(told.encode()).digest()))


def _background(latent: Latent, number: int, width: int, height: int) -> Bytes:
    """A soft gradient between four colours, or what the latent starts from, darkened towards it."""
    corners = _random(latent, number).integers(40, 216, (2, 2, 3)).astype(np.float32)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    along = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    top = corners[0, 0] * (1 - along) + corners[0, 1] * along
    bottom = corners[1, 0] * (1 - along) + corners[1, 1] * along
    colours = top * (1 - down) + bottom * down
    if latent.source is not None:
        start = Image.fromarray(to_bytes(latent.source[min(number, len(latent.source) - 1)][..., :3]))
        colours = (colours + np.asarray(start.convert("RGB").resize((width, height)), np.float32)) / 2
    levels: Bytes = colours.astype(np.uint8)
    return levels


def _write(picture: Image.Image, latent: Latent, number: int) -> None:
    """The label large, below it seed, model and prompt, and along the foot the label again in every part of a video."""
    draw = ImageDraw.Draw(picture)
    large, small = max(latent.width // 10, 8), max(latent.width // 32, 8)
    edge = large // 2
    left = edge + min(picture.width - latent.width, latent.width // 4)
    _text(draw, (left, edge), LABEL, large)
    lines = [f"seed {latent.seed}" + (f", picture {number + 1}" if number else ""), latent.model]
    per_line = max(int((latent.width - 2 * edge) / (small * 0.55)), 8)
    lines += textwrap.wrap(latent.text, per_line)[:LINES_OF_PROMPT]
    first, foot = edge + large * 1.5, latent.height - small * 1.6
    for i, line in enumerate(lines[: max(int((foot - first) / (small * 1.3)), 0)]):
        _text(draw, (left, first + i * small * 1.3), line, small)
    for x in range(edge, picture.width, small * 10):
        _text(draw, (x, foot), LABEL, small)


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int) -> None:
    draw.text(place, text, fill="white", font=_font(size), stroke_width=1, stroke_fill="black")


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
