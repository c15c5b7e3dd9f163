"""Reads picture files into arrays the way ComfyUI's LoadImage does."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from services.worker.rehearsal.pixels import Pixels

BYTE_FORMATS = ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8")
"""FFmpeg pixel formats that are read as bytes and divided by 255; all others are converted to float planes."""


def read_picture(path: Path) -> tuple[Pixels, Pixels]:
    """All frames of a file and their masks (1 = transparent; 64 x 64 zeros when there is no alpha).

    Raises OSError (also as UnidentifiedImageError) when the file is no picture.
    """
    return _with_pillow(path)


def _with_pillow(path: Path) -> tuple[Pixels, Pixels]:
    pictures: list[Pixels] = []
    masks: list[Pixels] = []
    with Image.open(path) as file:
        for page in ImageSequence.Iterator(file):
            frame = ImageOps.exif_transpose(page)
            colours = np.asarray(frame.convert("RGB"), np.float32) / np.float32(255.0)
            if pictures and colours.shape != pictures[0].shape:
                continue
            pictures.append(colours)
            if "A" in frame.getbands():
                masks.append(np.float32(1.0) - np.asarray(frame.getchannel("A"), np.float32) / np.float32(255.0))
            else:
                masks.append(np.zeros((64, 64), np.float32))
    return np.stack(pictures), np.stack(masks)
