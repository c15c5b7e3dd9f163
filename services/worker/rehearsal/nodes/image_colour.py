"""Nodes that make pictures or change their values."""

import numpy as np

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.pixels import Pixels
from services.worker.rehearsal.resample import upscale

ONE = np.float32(1.0)


@node("EmptyImage")
def empty_image(run: NodeRun, *, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Pixels]:
    """A picture of one colour, given as 0xRRGGBB."""
    colour = np.array([(color >> shift & 0xFF) / 0xFF for shift in (16, 8, 0)], np.float32)
    return (np.broadcast_to(colour, (batch_size, height, width, 3)).copy(),)


@node("ImageInvert")
def image_invert(run: NodeRun, *, image: Pixels) -> tuple[Pixels]:
    """1 - value."""
    return (ONE - image,)


def same_channels(first: Pixels, second: Pixels) -> Pixels:
    """`second` with the channels of `first`: alpha dropped, or added as opaque."""
    if second.shape[-1] > first.shape[-1]:
        return second[..., : first.shape[-1]]
    missing = first.shape[-1] - second.shape[-1]
    return np.pad(second, [(0, 0)] * 3 + [(0, missing)], constant_values=1.0) if missing else second


@node("ImageBlend")
def image_blend(run: NodeRun, *, image1: Pixels, image2: Pixels, blend_factor: float, blend_mode: str) -> tuple[Pixels]:
    """Mix the second into the first; it takes the size of the first."""
    image2 = same_channels(image1, image2)
    if image1.shape != image2.shape:
        image2 = upscale(image2, image1.shape[2], image1.shape[1], "bicubic", "center")
    mixed = _mix(image1, image2, blend_mode)
    blended = image1 * np.float32(1 - blend_factor) + mixed * np.float32(blend_factor)
    return (np.clip(blended, 0, 1),)


def _mix(first: Pixels, second: Pixels, mode: str) -> Pixels:
    if mode == "normal":
        return second
    if mode == "multiply":
        return first * second
    if mode == "screen":
        return ONE - (ONE - first) * (ONE - second)
    if mode == "overlay":
        return np.where(first <= 0.5, 2 * first * second, ONE - 2 * (ONE - first) * (ONE - second))
    if mode == "soft_light":
        bright = np.where(first <= 0.25, ((16 * first - 12) * first + 4) * first, np.sqrt(first))
        dark = first - (ONE - 2 * second) * first * (ONE - first)
        return np.where(second <= 0.5, dark, first + (2 * second - ONE) * (bright - first))
    if mode == "difference":
        return first - second
    raise ValueError(f"Unsupported blend mode: {mode}")
