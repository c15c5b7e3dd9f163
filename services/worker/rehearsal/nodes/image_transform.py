"""Nodes that make and change pictures."""

import numpy as np

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.pixels import Pixels
from services.worker.rehearsal.resample import upscale


@node("EmptyImage")
def empty_image(run: NodeRun, *, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Pixels]:
    """A picture of one colour, given as 0xRRGGBB."""
    colour = np.array([(color >> shift & 0xFF) / 0xFF for shift in (16, 8, 0)], np.float32)
    return (np.broadcast_to(colour, (batch_size, height, width, 3)).copy(),)


@node("ImageInvert")
def image_invert(run: NodeRun, *, image: Pixels) -> tuple[Pixels]:
    """1 - value."""
    return (np.float32(1.0) - image,)


@node("ImageScale")
def image_scale(
    run: NodeRun, *, image: Pixels, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Pixels]:
    """To a size; 0 for one side keeps the proportions, 0 for both changes nothing."""
    rows, columns = image.shape[1:3]
    if width == 0 and height == 0:
        return (image,)
    if width == 0:
        width = max(1, round(columns * height / rows))
    elif height == 0:
        height = max(1, round(rows * width / columns))
    return (upscale(image, width, height, upscale_method, crop),)
