"""Nodes for masks and alpha channels."""

import numpy as np

from services.worker.rehearsal.nodes.image_colour import same_channels
from services.worker.rehearsal.nodes.image_files import preview_pngs
from services.worker.rehearsal.nodes.registry import NodeResult, NodeRun, node
from services.worker.rehearsal.pixels import Pixels, repeat_to
from services.worker.rehearsal.resample import resize_mask, upscale

ONE = np.float32(1.0)


@node("SolidMask")
def solid_mask(run: NodeRun, *, value: float, width: int, height: int) -> tuple[Pixels]:
    """One value everywhere."""
    return (np.full((1, height, width), value, np.float32),)


@node("InvertMask")
def invert_mask(run: NodeRun, *, mask: Pixels) -> tuple[Pixels]:
    """1 - value."""
    return (ONE - mask,)


@node("MaskToImage")
def mask_to_image(run: NodeRun, *, mask: Pixels) -> tuple[Pixels]:
    """A grey picture."""
    return (np.repeat(mask[..., None], 3, axis=-1),)


@node("ImageToMask")
def image_to_mask(run: NodeRun, *, image: Pixels, channel: str) -> tuple[Pixels]:
    """One channel of a picture. Raises IndexError for alpha when there is none."""
    return (image[..., ("red", "green", "blue", "alpha").index(channel)],)


@node("ImageColorToMask")
def image_color_to_mask(run: NodeRun, *, image: Pixels, color: int) -> tuple[Pixels]:
    """1 where the picture has exactly this colour, given as 0xRRGGBB."""
    levels = np.round(np.clip(image, 0, 1) * np.float32(255)).astype(np.int64)
    return ((levels[..., 0] << 16 | levels[..., 1] << 8 | levels[..., 2] == color).astype(np.float32),)


@node("CropMask")
def crop_mask(run: NodeRun, *, mask: Pixels, x: int, y: int, width: int, height: int) -> tuple[Pixels]:
    """A rectangle of the mask."""
    return (mask[:, y : y + height, x : x + width],)


@node("ThresholdMask")
def threshold_mask(run: NodeRun, *, mask: Pixels, value: float) -> tuple[Pixels]:
    """1 above the value, 0 elsewhere."""
    return ((mask > np.float32(value)).astype(np.float32),)


@node("FeatherMask")
def feather_mask(run: NodeRun, *, mask: Pixels, left: int, top: int, right: int, bottom: int) -> tuple[Pixels]:
    """Let the mask rise from zero along its edges."""
    soft = mask.copy()
    rows, columns = soft.shape[1:]
    for i in range(width := min(left, columns)):
        soft[:, :, i] *= np.float32((i + 1) / width)
    for i in range(width := min(right, columns)):
        soft[:, :, -(i + 1)] *= np.float32((i + 1) / width)
    for i in range(height := min(top, rows)):
        soft[:, i] *= np.float32((i + 1) / height)
    for i in range(height := min(bottom, rows)):
        soft[:, -(i + 1)] *= np.float32((i + 1) / height)
    return (soft,)


@node("GrowMask")
def grow_mask(run: NodeRun, *, mask: Pixels, expand: int, tapered_corners: bool) -> tuple[Pixels]:
    """Grow by pixels, or shrink by a negative number; tapered corners leave the diagonals out."""
    choose = np.minimum if expand < 0 else np.maximum
    shifts = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)]
    if not tapered_corners:
        shifts += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    rows, columns = mask.shape[1:]
    for _ in range(abs(expand)):
        wide = np.pad(mask, ((0, 0), (1, 1), (1, 1)), mode="edge")
        mask = choose.reduce([wide[:, 1 + y : 1 + y + rows, 1 + x : 1 + x + columns] for y, x in shifts])
    return (mask,)


@node("MaskComposite")
def mask_composite(
    run: NodeRun, *, destination: Pixels, source: Pixels, x: int, y: int, operation: str
) -> tuple[Pixels]:
    """Combine a mask into another at a place."""
    output = destination.copy()
    here = output[:, y : y + source.shape[1], x : x + source.shape[2]]
    there = source[:, : here.shape[1], : here.shape[2]]
    here[...] = _combine(here, there, operation)
    return (np.clip(output, 0, 1),)


def _combine(here: Pixels, there: Pixels, operation: str) -> Pixels:
    if operation == "multiply":
        return here * there
    if operation == "add":
        return here + there
    if operation == "subtract":
        return here - there
    first, second = np.round(here).astype(bool), np.round(there).astype(bool)
    bits = {"and": first & second, "or": first | second, "xor": first ^ second}[operation]
    result: Pixels = bits.astype(np.float32)
    return result


@node("ImageCompositeMasked")
def image_composite_masked(
    run: NodeRun,
    *,
    destination: Pixels,
    source: Pixels,
    x: int,
    y: int,
    resize_source: bool,
    mask: Pixels | None = None,
) -> tuple[Pixels]:
    """Lay a picture over another at a place, where the mask lets it through."""
    source = same_channels(destination, source)
    output = destination.copy()
    rows, columns = output.shape[1:3]
    if resize_source:
        source = upscale(source, columns, rows, "bilinear", "disabled")
    source = repeat_to(source, len(output))
    if mask is None:
        mask = np.ones(source.shape[:3], np.float32)
    mask = repeat_to(resize_mask(mask, source.shape[2], source.shape[1]), len(source))[..., None]
    here = output[:, y : y + source.shape[1], x : x + source.shape[2]]
    seen = slice(None), slice(here.shape[1]), slice(here.shape[2])
    here[...] = mask[seen] * source[seen] + (ONE - mask[seen]) * here
    return (output,)


@node("JoinImageWithAlpha")
def join_image_with_alpha(run: NodeRun, *, image: Pixels, alpha: Pixels) -> tuple[Pixels]:
    """Add an alpha channel; the mask is 1 where the picture becomes transparent."""
    count = max(len(image), len(alpha))
    opaque = ONE - resize_mask(alpha, image.shape[2], image.shape[1])
    parts = [repeat_to(image, count)[..., :3], repeat_to(opaque, count)[..., None]]
    return (np.concatenate(parts, axis=-1),)


@node("SplitImageWithAlpha")
def split_image_with_alpha(run: NodeRun, *, image: Pixels) -> tuple[Pixels, Pixels]:
    """Colours, and a mask that is 1 where the picture is transparent."""
    opaque = image[..., 3] if image.shape[-1] > 3 else np.ones(image.shape[:3], np.float32)
    return image[..., :3], ONE - opaque


@node("MaskPreview")
def mask_preview(run: NodeRun, *, mask: Pixels) -> NodeResult:
    """Show the mask as a grey picture."""
    shown = preview_pngs(run, np.repeat(mask[..., None], 3, axis=-1))
    return NodeResult((mask,), {"images": shown, "animated": (False,)})
