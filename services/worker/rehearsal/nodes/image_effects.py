"""Nodes that blur, sharpen and reduce colours."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.pixels import Pixels, as_picture, to_bytes

Kernel = npt.NDArray[np.float32]


def gaussian_kernel(radius: int, sigma: float) -> Kernel:
    """A square of weights that sum to 1; sigma counts from the middle (0) to the edge (1)."""
    line = np.linspace(-1, 1, radius * 2 + 1, dtype=np.float32)
    distance = np.sqrt(line[:, None] ** 2 + line[None, :] ** 2)
    weights = np.exp(-(distance * distance) / np.float32(2 * sigma * sigma))
    kernel: Kernel = (weights / weights.sum()).astype(np.float32)
    return kernel


def convolve(image: Pixels, kernel: Kernel) -> Pixels:
    """Weigh each pixel with those around it; beyond the edge the picture is mirrored."""
    radius = len(kernel) // 2
    rows, columns = image.shape[1:3]
    wide = np.pad(image, ((0, 0), (radius, radius), (radius, radius), (0, 0)), mode="reflect")
    total = np.zeros(image.shape, np.float64)
    for down, weights in enumerate(kernel):
        for along, weight in enumerate(weights):
            total += wide[:, down : down + rows, along : along + columns].astype(np.float64) * weight
    return total.astype(np.float32)


@node("ImageBlur")
def image_blur(run: NodeRun, *, image: Pixels, blur_radius: int, sigma: float) -> tuple[Pixels]:
    """A Gaussian blur."""
    return (image if blur_radius == 0 else convolve(image, gaussian_kernel(blur_radius, sigma)),)


@node("ImageSharpen")
def image_sharpen(run: NodeRun, *, image: Pixels, sharpen_radius: int, sigma: float, alpha: float) -> tuple[Pixels]:
    """Take a part of the blur away."""
    if sharpen_radius == 0:
        return (image,)
    kernel = gaussian_kernel(sharpen_radius, sigma) * np.float32(-(alpha * 10))
    middle = sharpen_radius, sharpen_radius
    kernel[middle] = kernel[middle] - kernel.sum() + np.float32(1)
    return (np.clip(convolve(image, kernel), 0, 1),)


@node("ImageQuantize")
def image_quantize(run: NodeRun, *, image: Pixels, colors: int, dither: str) -> tuple[Pixels]:
    """A few colours only, with or without dithering."""
    return (np.stack([as_picture(_quantize(to_bytes(pixels[..., :3]), colors, dither)) for pixels in image]),)


def _quantize(levels: npt.NDArray[np.uint8], colors: int, dither: str) -> npt.NDArray[np.uint8]:
    picture = Image.fromarray(levels)
    palette = picture.quantize(colors=colors)
    if dither.startswith("bayer"):
        picture = Image.fromarray(_with_bayer_pattern(levels, palette, int(dither.rsplit("-", 1)[-1])))
    method = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
    return np.asarray(picture.quantize(palette=palette, dither=method).convert("RGB"))


def _with_bayer_pattern(levels: npt.NDArray[np.uint8], palette: Image.Image, order: int) -> npt.NDArray[np.uint8]:
    known = palette.getpalette()
    assert known is not None  # the picture has just been quantized
    spread = 2 * 256 / (len(known) // 3)
    pattern = spread * _bayer(int(math.log2(order))) + 0.5
    rows, columns = levels.shape[:2]
    tiled = np.tile(pattern, (-(-rows // len(pattern)), -(-columns // len(pattern))))[:rows, :columns, None]
    shifted: npt.NDArray[np.uint8] = np.clip(levels.astype(np.float32) + tiled, 0, 255).astype(np.uint8)
    return shifted


def _bayer(level: int) -> npt.NDArray[np.float64]:
    if level == 0:
        return np.zeros((1, 1))
    size = 4**level
    inner = size * _bayer(level - 1)
    pattern: npt.NDArray[np.float64] = np.block([[inner - 1.5, inner + 0.5], [inner + 1.5, inner - 0.5]]) / size
    return pattern
