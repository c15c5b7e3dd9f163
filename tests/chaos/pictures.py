"""The jobs of the kill test: each makes a picture of one colour that no other job has, inverted on the way."""

import io
from typing import Any

import numpy as np
from PIL import Image

SIZE = (48, 32)
FIRST_COLOUR = 0x102030


def colour_of(number: int) -> int:
    """The colour that job `number` starts from, as 0xRRGGBB; different for each of 100,000 jobs."""
    return (FIRST_COLOUR + number * 0x53) % 0x1000000


def workflow(number: int, seconds: float, steps: int = 10) -> dict[str, Any]:
    """An image of one colour, inverted, then `seconds` of pretended work in `steps`, then saved."""
    width, height = SIZE
    return {
        "1": _node("EmptyImage", width=width, height=height, batch_size=1, color=colour_of(number)),
        "2": _node("ImageInvert", image=["1", 0]),
        "3": _node("RehearsalSlow", seconds=seconds, steps=steps, image=["2", 0]),
        "4": _node("SaveImage", images=["3", 0], filename_prefix=f"chaos/{number}"),
    }


def poison() -> dict[str, Any]:
    """A job that ends every engine it runs on."""
    return {"1": _node("RehearsalCrash", status=139), "2": _node("RehearsalSlow", seconds=0, steps=1, image=["1", 0])}


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def is_expected(content: bytes, number: int) -> bool:
    """Whether a file is, pixel by pixel, the picture of job `number`."""
    colour = colour_of(number)
    channels = np.array([colour >> 16, colour >> 8 & 0xFF, colour & 0xFF], np.float32) / np.float32(255)
    # As ComfyUI does it: floats inverted, then cut off (not rounded) to bytes.
    wanted = np.clip(np.float32(255) * (np.float32(1) - channels), 0, 255).astype(np.uint8)
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return pixels.shape == (SIZE[1], SIZE[0], 3) and bool((pixels == wanted).all())
