"""Arithmetic on pictures as float32 arrays, with the same rounding as ComfyUI's tensors."""

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
"""[batch, height, width, channels] or, for masks, [batch, height, width]; values 0..1."""


def to_bytes(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """0..1 to 0..255, cut off (not rounded), as SaveImage does; a single channel loses its axis."""
    data: npt.NDArray[np.uint8] = np.clip(np.float32(255.0) * pixels.astype(np.float32, copy=False), 0, 255).astype(
        np.uint8
    )
    if data.ndim == 3 and data.shape[-1] == 1:
        data = data[..., 0]
    return data


def as_picture(levels: npt.NDArray[np.uint8]) -> Pixels:
    """0..255 to 0..1."""
    return levels.astype(np.float32) / np.float32(255.0)


def repeat_to(batch: Pixels, count: int, *, last: bool = False) -> Pixels:
    """Exactly `count` pictures: the first ones, or all over again (with `last`: the last one again and again)."""
    if len(batch) >= count:
        return batch[:count]
    if last:
        return np.concatenate([batch, np.repeat(batch[-1:], count - len(batch), axis=0)])
    return np.concatenate([batch] * -(-count // len(batch)))[:count]
