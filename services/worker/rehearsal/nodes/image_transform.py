"""Nodes that change the size, place or number of pictures."""

import math
from typing import Any

import numpy as np
from PIL import Image

from services.worker.rehearsal.nodes.image_files import preview_pngs
from services.worker.rehearsal.nodes.registry import NodeResult, NodeRun, node
from services.worker.rehearsal.pixels import Pixels, as_picture, repeat_to, to_bytes
from services.worker.rehearsal.resample import upscale

MEGAPIXEL = 1024 * 1024


def fitting_size(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """Fill in a side given as 0 so that the proportions stay."""
    if width == 0:
        return max(1, round(columns * height / rows)), height
    if height == 0:
        return width, max(1, round(rows * width / columns))
    return width, height


@node("ImageScale")
def image_scale(
    run: NodeRun, *, image: Pixels, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Pixels]:
    """To a size; 0 for one side keeps the proportions, 0 for both changes nothing."""
    if width == 0 and height == 0:
        return (image,)
    width, height = fitting_size(width, height, image.shape[2], image.shape[1])
    return (upscale(image, width, height, upscale_method, crop),)


@node("ImageScaleBy")
def image_scale_by(run: NodeRun, *, image: Pixels, upscale_method: str, scale_by: float) -> tuple[Pixels]:
    """By a factor."""
    width, height = round(image.shape[2] * scale_by), round(image.shape[1] * scale_by)
    return (upscale(image, width, height, upscale_method, "disabled"),)


@node("ImageScaleToTotalPixels")
def image_scale_to_total_pixels(
    run: NodeRun, *, image: Pixels, upscale_method: str, megapixels: float, resolution_steps: int = 1
) -> tuple[Pixels]:
    """To a number of pixels, with sides that are multiples of `resolution_steps`."""
    rows, columns = image.shape[1:3]
    factor = math.sqrt(megapixels * MEGAPIXEL / (columns * rows))
    width, height = (round(side * factor / resolution_steps) * resolution_steps for side in (columns, rows))
    return (upscale(image, width, height, upscale_method, "disabled"),)


def longer_side_to(rows: int, columns: int, size: int) -> tuple[int, int]:
    """Width and height when the longer side becomes `size`."""
    if rows > columns:
        return round(columns / rows * size), size
    return size, round(rows / columns * size) if columns > rows else size


def shorter_side_to(rows: int, columns: int, size: int) -> tuple[int, int]:
    """Width and height when the shorter side becomes `size`."""
    if rows < columns:
        return round(columns / rows * size), size
    return size, round(rows / columns * size) if columns < rows else size


@node("ImageScaleToMaxDimension")
def image_scale_to_max_dimension(
    run: NodeRun, *, image: Pixels, upscale_method: str, largest_size: int
) -> tuple[Pixels]:
    """The longer side to a size."""
    width, height = longer_side_to(image.shape[1], image.shape[2], largest_size)
    return (upscale(image, width, height, upscale_method, "disabled"),)


@node("ResizeImageMaskNode")
def resize_image_or_mask(
    run: NodeRun, *, input: Pixels, resize_type: dict[str, Any], scale_method: str
) -> tuple[Pixels]:
    """One of nine ways to resize a picture or a mask; the way brings its own inputs."""
    is_mask = input.ndim == 3
    image = input[..., None] if is_mask else input
    rows, columns = image.shape[1:3]
    crop = resize_type.get("crop", "disabled")
    if resize_type["resize_type"] == "scale to multiple":
        result = _to_multiple(image, resize_type["multiple"], scale_method)
    else:
        width, height = _target_size(resize_type, rows, columns)
        result = image if width == height == 0 else upscale(image, width, height, scale_method, crop)
    return (result[..., 0] if is_mask else result,)


def _target_size(wish: dict[str, Any], rows: int, columns: int) -> tuple[int, int]:
    kind = wish["resize_type"]
    if kind == "scale by multiplier":
        return round(columns * wish["multiplier"]), round(rows * wish["multiplier"])
    if kind == "scale longer dimension":
        return longer_side_to(rows, columns, wish["longer_size"])
    if kind == "scale shorter dimension":
        return shorter_side_to(rows, columns, wish["shorter_size"])
    if kind == "scale total pixels":
        factor = math.sqrt(int(wish["megapixels"] * MEGAPIXEL) / (columns * rows))
        return round(columns * factor), round(rows * factor)
    if kind == "match size":
        return int(wish["match"].shape[2]), int(wish["match"].shape[1])
    width, height = wish.get("width", 0), wish.get("height", 0)
    return (0, 0) if width == height == 0 else fitting_size(width, height, columns, rows)


def _to_multiple(image: Pixels, multiple: int, method: str) -> Pixels:
    """Shrink until both sides reach a multiple, then cut the middle out."""
    rows, columns = image.shape[1:3]
    width, height = columns // multiple * multiple, rows // multiple * multiple
    if 0 in (width, height) or (width, height) == (columns, rows):
        return image
    if width / columns >= height / rows:
        scaled_width, scaled_height = width, max(math.ceil(rows * (width / columns)), height)
    else:
        scaled_width, scaled_height = max(math.ceil(columns * (height / rows)), width), height
    scaled = upscale(image, scaled_width, scaled_height, method, "disabled")
    left, top = (scaled_width - width) // 2, (scaled_height - height) // 2
    return scaled[:, top : top + height, left : left + width]


@node("ResizeImagesByLongerEdge")
def resize_images_by_longer_edge(run: NodeRun, *, images: Pixels, longer_edge: int) -> tuple[Pixels]:
    """The longer side to a size, by LANCZOS on bytes."""
    rows, columns = images.shape[1:3]
    if columns > rows:
        size = longer_edge, int(rows * (longer_edge / columns))
    else:
        size = int(columns * (longer_edge / rows)), longer_edge
    pictures = [Image.fromarray(to_bytes(p)).resize(size, Image.Resampling.LANCZOS) for p in images]
    return (np.stack([as_picture(np.asarray(p)) for p in pictures]),)


@node("ImageBatch")
def image_batch(run: NodeRun, *, image1: Pixels, image2: Pixels) -> tuple[Pixels]:
    """One after the other; the second takes the size of the first."""
    channels = max(image1.shape[-1], image2.shape[-1])
    image1, image2 = (_with_channels(image, channels) for image in (image1, image2))
    if image1.shape[1:] != image2.shape[1:]:
        image2 = upscale(image2, image1.shape[2], image1.shape[1], "bilinear", "center")
    return (np.concatenate([image1, image2]),)


def _with_channels(image: Pixels, channels: int) -> Pixels:
    missing = channels - image.shape[-1]
    return np.pad(image, [(0, 0)] * 3 + [(0, missing)], constant_values=1.0) if missing else image


@node("RepeatImageBatch")
def repeat_image_batch(run: NodeRun, *, image: Pixels, amount: int) -> tuple[Pixels]:
    """The whole batch several times."""
    return (np.tile(image, (amount, 1, 1, 1)),)


@node("ImageFromBatch")
def image_from_batch(run: NodeRun, *, image: Pixels, batch_index: int, length: int) -> tuple[Pixels]:
    """Some pictures of a batch; a negative index counts from the end."""
    start = batch_index + len(image) if batch_index < 0 else batch_index
    start = max(0, min(len(image) - 1, start))
    return (image[start : start + length].copy(),)


@node("ImageCrop")
def image_crop(run: NodeRun, *, image: Pixels, width: int, height: int, x: int, y: int) -> tuple[Pixels]:
    """A rectangle of the picture."""
    return (_cut(image, x, y, width, height),)


@node("ImageCropV2")
def image_crop_region(run: NodeRun, *, image: Pixels, crop_region: dict[str, int]) -> NodeResult:
    """A rectangle of the picture, shown as a preview."""
    place = {"x": 0, "y": 0, "width": 512, "height": 512} | crop_region
    part = _cut(image, place["x"], place["y"], place["width"], place["height"])
    return NodeResult((part,), {"images": preview_pngs(run, part), "animated": (False,)})


@node("PrimitiveBoundingBox")
def bounding_box(run: NodeRun, *, x: int, y: int, width: int, height: int) -> tuple[dict[str, int]]:
    """A rectangle."""
    return ({"x": x, "y": y, "width": width, "height": height},)


def _cut(image: Pixels, x: int, y: int, width: int, height: int) -> Pixels:
    x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, y : y + height, x : x + width]


@node("ImageFlip")
def image_flip(run: NodeRun, *, image: Pixels, flip_method: str) -> tuple[Pixels]:
    """Upside down, or left to right."""
    return (image[:, ::-1].copy() if flip_method.startswith("x") else image[:, :, ::-1].copy(),)


@node("ImageRotate")
def image_rotate(run: NodeRun, *, image: Pixels, rotation: str) -> tuple[Pixels]:
    """By quarter turns, clockwise."""
    turns = {"90": 1, "180": 2, "270": 3}.get(rotation.split(" ")[0], 0)
    return (np.rot90(image, turns, axes=(2, 1)).copy(),)


@node("ImagePadForOutpaint")
def image_pad_for_outpaint(
    run: NodeRun, *, image: Pixels, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Pixels, Pixels]:
    """A grey border to be painted, and a mask of what is new, with a soft edge inside the old picture."""
    count, rows, columns, channels = image.shape
    padded = np.full((count, rows + top + bottom, columns + left + right, channels), 0.5, np.float32)
    padded[:, top : top + rows, left : left + columns] = image
    mask = np.ones(padded.shape[1:3], np.float32)
    inner = np.zeros((rows, columns), np.float32)
    if feathering > 0 and feathering * 2 < min(rows, columns):
        i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
        away_down = np.minimum(i if top else rows, rows - i if bottom else rows)
        away_along = np.minimum(j if left else columns, columns - j if right else columns)
        near = np.maximum(feathering - np.minimum(away_down, away_along), 0) / feathering
        inner = np.broadcast_to(near * near, inner.shape).astype(np.float32)
    mask[top : top + rows, left : left + columns] = inner
    return padded, mask[None]


@node("ResizeAndPadImage")
def resize_and_pad_image(
    run: NodeRun, *, image: Pixels, target_width: int, target_height: int, padding_color: str, interpolation: str
) -> tuple[Pixels]:
    """Into a frame, with bars where the proportions differ."""
    count, rows, columns, channels = image.shape
    factor = min(target_width / columns, target_height / rows)
    width, height = int(columns * factor), int(rows * factor)
    colour = 0.0 if padding_color == "black" else 1.0
    padded = np.full((count, target_height, target_width, channels), colour, np.float32)
    top, left = (target_height - height) // 2, (target_width - width) // 2
    padded[:, top : top + height, left : left + width] = upscale(image, width, height, interpolation, "disabled")
    return (padded,)


@node("GetImageSize")
def get_image_size(run: NodeRun, *, image: Pixels) -> tuple[int, int, int]:
    """Width, height and number of pictures, also as text on the node."""
    count, height, width = image.shape[:3]
    run.tell_text(f"width: {width}, height: {height}\n batch size: {count}")
    return width, height, count


@node("LTXVPreprocess")
def ltxv_preprocess(run: NodeRun, *, image: Pixels, img_compression: int) -> tuple[Pixels]:
    """Real ComfyUI passes the picture through a video codec; the rehearsal leaves it as it is."""
    return (image,)


@node("RebatchImages")
def rebatch_images(run: NodeRun, *, images: list[Pixels], batch_size: list[int]) -> tuple[list[Pixels]]:
    """All pictures in batches of a size."""
    pictures = [image[i : i + 1] for image in images for i in range(len(image))]
    size = batch_size[0]
    return ([np.concatenate(pictures[i : i + size]) for i in range(0, len(pictures), size)],)


@node("ImageStitch")
def image_stitch(
    run: NodeRun,
    *,
    image1: Pixels,
    direction: str,
    match_image_size: bool,
    spacing_width: int,
    spacing_color: str,
    image2: Pixels | None = None,
) -> tuple[Pixels]:
    """Two pictures side by side or one above the other."""
    if image2 is None:
        return (image1,)
    count = max(len(image1), len(image2))
    image1, image2 = repeat_to(image1, count, last=True), repeat_to(image2, count, last=True)
    beside = direction in ("left", "right")
    if match_image_size:
        ratio = image2.shape[2] / image2.shape[1]
        rows, columns = image1.shape[1:3]
        width, height = (int(rows * ratio), rows) if beside else (columns, int(columns / ratio))
        image2 = upscale(image2, width, height, "lanczos", "disabled")
    else:
        pad = {"white": 1.0}.get(spacing_color, 0.0)
        side = max(image1.shape[1 if beside else 2], image2.shape[1 if beside else 2])
        image1, image2 = (_pad_middle(image, 1 if beside else 2, side, pad) for image in (image1, image2))
    channels = max(image1.shape[-1], image2.shape[-1])
    parts = [_with_channels(image, channels) for image in (image1, image2)]
    if direction in ("left", "up"):
        parts.reverse()
    if spacing_width > 0:
        parts.insert(1, _spacing(parts[0], beside, spacing_width + spacing_width % 2, spacing_color))
    return (np.concatenate(parts, axis=2 if beside else 1),)


def _pad_middle(image: Pixels, axis: int, size: int, value: float) -> Pixels:
    missing = size - image.shape[axis]
    widths = [(0, 0)] * 4
    widths[axis] = (missing // 2, missing - missing // 2)
    return np.pad(image, widths, constant_values=value)


def _spacing(beside_what: Pixels, beside: bool, width: int, name: str) -> Pixels:
    colours = {"white": (1, 1, 1), "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
    shape = list(beside_what.shape)
    shape[2 if beside else 1] = width
    bar = np.ones(shape, np.float32)
    bar[..., :3] = np.array(colours.get(name, (0, 0, 0)), np.float32)[: min(3, shape[-1])]
    return bar
