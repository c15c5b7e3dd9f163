"""The list of scenarios and the graphs and pictures they share. Each scenario uses colours and names of its own.

ComfyUI's cache outlives a prompt; a scenario that shared a node with another would be answered from it.
"""

import io
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from PIL import Image

from tests.golden.driver import Graph, Message, Session

Scenario = Callable[[Session], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    """Make a function known under its own name."""
    SCENARIOS[play.__name__] = play
    return play


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """One node of a graph in API form."""
    return {"class_type": class_type, "inputs": inputs}


def colour_of(name: str) -> int:
    """A colour that belongs to this scenario alone."""
    return zlib.crc32(name.encode()) & 0xFFFFFF


def empty_saved(session: Session, width: int = 16, height: int = 8) -> Graph:
    """The smallest graph with a file at its end."""
    return {
        "1": node("EmptyImage", width=width, height=height, batch_size=1, color=colour_of(session.name)),
        "2": node("SaveImage", images=["1", 0], filename_prefix=session.name),
    }


def slow(seconds: float = 600.0, steps: int = 1, **more: Any) -> Graph:
    """A graph that works until it is stopped, or for as long as it is told."""
    return {"1": node("RehearsalSlow", seconds=seconds, steps=steps, **more)}


def drawn(width: int = 40, height: int = 28, *, alpha: bool = False, seed: int = 1) -> Image.Image:
    """A small picture with gradients, an edge and noise, so that every kind of scaling shows."""
    random = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    bands = [across, down, 255 - (across + down) / 2] + ([(across * down) / 255] if alpha else [])
    pixels = np.stack(bands, axis=-1) + random.normal(0, 12, (height, width, len(bands)))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = 230
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGBA" if alpha else "RGB")


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def idle(message: Message) -> bool:
    """Whether this message says that nothing waits or runs any more."""
    return bool(message["type"] == "status" and message["data"]["status"]["exec_info"]["queue_remaining"] == 0)
