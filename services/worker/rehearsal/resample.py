"""Resizes pictures as torch's interpolate and Pillow's LANCZOS do, which is what ComfyUI uses.

torch's CPU kernels multiply and add in one rounding (FMA) at certain places; here the same is done by way of float64,
so that the results agree bit for bit. The places were found by comparing with torch 2.13 on x86-64.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from services.worker.rehearsal.pixels import Pixels, to_bytes

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

SMALL_OUTPUT = 128
"""torch takes another bilinear kernel when the output's height and width together are not above this."""


def upscale(image: Pixels, width: int, height: int, method: str, crop: str) -> Pixels:
    """Resize [batch, height, width, channels]; crop "center" first cuts to the new proportions.

    Raises ValueError for a method that ComfyUI does not know or a size of zero.
    """
    if width < 1 or height < 1:
        raise ValueError(f"Input and output sizes should be greater than 0, but got (H: {height}, W: {width})")
    if crop == "center":
        image = _cut_to_proportions(image, width, height)
    if method not in _METHODS:
        raise ValueError(f"upscale_method must be one of {', '.join(_METHODS)}, not {method!r}")
    return _METHODS[method](image, width, height)


def resize_mask(mask: Pixels, width: int, height: int) -> Pixels:
    """Resize [batch, height, width] bilinearly."""
    return _bilinear(mask[..., None], width, height)[..., 0]


def _cut_to_proportions(image: Pixels, width: int, height: int) -> Pixels:
    rows, columns = image.shape[1:3]
    old, new = columns / rows, width / height
    left = top = 0
    if old > new:
        left = round((columns - columns * (new / old)) / 2)
    elif old < new:
        top = round((rows - rows * (old / new)) / 2)
    return image[:, top : rows - top, left : columns - left]


def _fma(a: Floats, b: Floats | np.float32, c: Floats | np.float32) -> Floats:
    """a * b + c, rounded once."""
    return (a.astype(np.float64) * b + c).astype(np.float32)


def _nearest_exact(image: Pixels, width: int, height: int) -> Pixels:
    def places(size: int, new: int) -> Index:
        scale = np.float32(size) / np.float32(new)
        found: Index = np.floor((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale).astype(np.int64)
        return found.clip(max=size - 1)

    rows, columns = places(image.shape[1], height), places(image.shape[2], width)
    return np.ascontiguousarray(image[:, rows][:, :, columns])


def _source_places(size: int, new: int) -> Floats:
    """Where the centres of the new pixels lie between the old ones."""
    scale = np.full(new, np.float32(size) / np.float32(new), np.float32)
    return _fma(scale, np.arange(new, dtype=np.float32) + np.float32(0.5), np.float32(-0.5))


def _linear_weights(size: int, new: int) -> tuple[list[Index], list[Floats]]:
    if size == new:
        first: Index = np.arange(new)
        return [first, first], [np.ones(new, np.float32), np.zeros(new, np.float32)]
    source = np.maximum(_source_places(size, new), np.float32(0))
    first = source.astype(np.int64).clip(max=size - 1)
    second = np.clip(source - first.astype(np.float32), 0, 1).astype(np.float32)
    return [first, (first + 1).clip(max=size - 1)], [np.float32(1) - second, second]


def _bilinear(image: Pixels, width: int, height: int) -> Pixels:
    rows, row_weights = _linear_weights(image.shape[1], height)
    columns, column_weights = _linear_weights(image.shape[2], width)
    if width + height > SMALL_OUTPUT and image.shape[3] <= 3:
        return _separable(image, rows, row_weights, columns, column_weights)
    corners = [image[:, r][:, :, c] for r in rows for c in columns]
    weights = [(r[:, None] * c)[None, :, :, None] for r in row_weights for c in column_weights]
    return _weighted_sum(corners, weights)


def _separable(
    image: Pixels, rows: list[Index], row_weights: list[Floats], columns: list[Index], column_weights: list[Floats]
) -> Pixels:
    across = _weighted_sum([image[:, :, c] for c in columns], [w[None, None, :, None] for w in column_weights])
    return _weighted_sum([across[:, r] for r in rows], [w[None, :, None, None] for w in row_weights])


def _weighted_sum(values: Sequence[Floats], weights: Sequence[Floats]) -> Floats:
    total = _fma(values[0], weights[0], values[1] * weights[1])
    for value, weight in zip(values[2:], weights[2:], strict=True):
        total = _fma(value, weight, total)
    return total


def _cubic_weights(size: int, new: int) -> tuple[list[Index], list[Floats]]:
    """Keys' kernel with A = -0.75."""
    a, one = np.float32(-0.75), np.float32(1)
    source = _source_places(size, new)
    base = np.floor(source).astype(np.int64).clip(max=size - 1)
    t = np.clip(source - base.astype(np.float32), 0, 1).astype(np.float32)

    def near(x: Floats) -> Floats:
        return ((a + 2) * x - (a + 3)) * x * x + one

    def far(x: Floats) -> Floats:
        inner = _fma(_fma(x, a, -(5 * a)), x, 8 * a)
        return inner * x - 4 * a

    places = [(base + shift).clip(0, size - 1) for shift in (-1, 0, 1, 2)]
    return places, [far(t + one), near(t), near(one - t), far((one - t) + one)]


def _bicubic(image: Pixels, width: int, height: int) -> Pixels:
    rows, row_weights = _cubic_weights(image.shape[1], height)
    columns, column_weights = _cubic_weights(image.shape[2], width)
    return _separable(image, rows, row_weights, columns, column_weights)


def _area(image: Pixels, width: int, height: int) -> Pixels:
    """The mean of the old pixels that a new one touches, added up row by row."""

    def window(size: int, new: int) -> tuple[Index, Index]:
        i: Index = np.arange(new)
        return i * size // new, -(-(i + 1) * size // new)

    top, bottom = window(image.shape[1], height)
    left, right = window(image.shape[2], width)
    total = np.zeros((image.shape[0], height, width, image.shape[3]), np.float32)
    for down in range(int((bottom - top).max())):
        for along in range(int((right - left).max())):
            rows, columns = top + down, left + along
            part = image[:, rows.clip(max=image.shape[1] - 1)][:, :, columns.clip(max=image.shape[2] - 1)]
            total += part * ((rows < bottom)[:, None] & (columns < right))[None, :, :, None]
    total /= (bottom - top).astype(np.float32)[None, :, None, None]
    total /= (right - left).astype(np.float32)[None, None, :, None]
    return total


def _lanczos(image: Pixels, width: int, height: int) -> Pixels:
    resized = [
        np.asarray(Image.fromarray(to_bytes(p)).resize((width, height), Image.Resampling.LANCZOS), np.float32)
        for p in image
    ]
    out = np.stack(resized) / np.float32(255.0)
    return out[..., None] if out.ndim == 3 else out


_METHODS = {
    "nearest-exact": _nearest_exact,
    "bilinear": _bilinear,
    "area": _area,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
}
