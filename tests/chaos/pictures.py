"""The jobs of the kill test: each makes a picture of one colour that no other job has, inverted on the way."""

import io
from typing import Any

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
    wanted = colour_of(number) ^ 0xFFFFFF
    with Image.open(io.BytesIO(content)) as picture:
        colours = picture.convert("RGB").getcolors()
        return picture.size == SIZE and colours == [(SIZE[0] * SIZE[1], tuple(wanted.to_bytes(3, "big")))]
