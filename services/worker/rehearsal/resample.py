"""Resizes pictures as torch's interpolate and Pillow's LANCZOS do, which is what ComfyUI uses."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from services.worker.rehearsal.pixels import Pixels, to_bytes


def upscale(image: Pixels, width: int, height: int, method: str, crop: str) -> Pixels:
    """Resize [batch, height, width, channels]; crop "center" first cuts to the new proportions."""
    if crop == "center":
        image = _cut_to_proportions(image, width, height)
    if method == "lanczos":
        return _lanczos(image, width, height)
    if method == "nearest-exact":
        rows = _nearest_exact(image.shape[1], height)
        columns = _nearest_exact(image.shape[2], width)
        return np.ascontiguousarray(image[:, rows][:, :, columns])
    raise ValueError(f"unknown method {method}")


def _cut_to_proportions(image: Pixels, width: int, height: int) -> Pixels:
    rows, columns = image.shape[1:3]
    old, new = columns / rows, width / height
    left = top = 0
    if old > new:
        left = round((columns - columns * (new / old)) / 2)
    elif old < new:
        top = round((rows - rows * (old / new)) / 2)
    return image[:, top : rows - top, left : columns - left]


def _nearest_exact(size: int, new: int) -> npt.NDArray[np.int64]:
    scale = np.float32(size) / np.float32(new)
    places: npt.NDArray[np.int64] = np.floor((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale).astype(
        np.int64
    )
    return places.clip(max=size - 1)


def _lanczos(image: Pixels, width: int, height: int) -> Pixels:
    resized = [
        np.asarray(Image.fromarray(to_bytes(p)).resize((width, height), Image.Resampling.LANCZOS), np.float32)
        for p in image
    ]
    out = np.stack(resized) / np.float32(255.0)
    return out[..., None] if out.ndim == 3 else out
