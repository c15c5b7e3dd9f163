"""Workflows of a wanted size, made of a few core image nodes, and the catalogue that knows these nodes."""

import json
from typing import Any

KB = 1000
IMAGE = ["IMAGE"]


def workflow_of(size: int, text: str = "") -> dict[str, Any]:
    """An image made, inverted many times, saved: about `size` bytes of JSON, some 250 a node as in real graphs."""
    graph: dict[str, Any] = {
        "1": _node("EmptyImage", {"width": 64, "height": 64, "batch_size": 1, "color": 0}, f"first {text}"),
    }
    last = 1
    written = len(_dumps(graph)) + 200
    while written < size:
        title = f"step {last} " + "turn dark into light and light into dark, as the one before it did. " * 2
        node = _node("ImageInvert", {"image": [str(last), 0]}, title[: max(8, size - written - 100)])
        last += 1
        graph[str(last)] = node
        written += len(_dumps(node)) + 8
    graph[str(last + 1)] = _node("SaveImage", {"images": [str(last), 0], "filename_prefix": "bench"}, "the end")
    return graph


def envelope(size: int) -> bytes:
    """The body of a submit whose workflow has about `size` bytes."""
    return _dumps({"workflow": workflow_of(size), "client_id": "bench"})


def _node(class_type: str, inputs: dict[str, Any], title: str) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def catalogue() -> bytes:
    """An /object_info that knows the three nodes, in ComfyUI's form."""
    number = {"default": 64, "min": 0, "max": 16777215}
    return _dumps(
        {
            "EmptyImage": _class(
                {name: ["INT", number] for name in ("width", "height", "batch_size", "color")}, output=IMAGE
            ),
            "ImageInvert": _class({"image": ["IMAGE"]}, output=IMAGE),
            "SaveImage": _class({"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "x"}]}, output=[]),
        }
    )


def _class(required: dict[str, Any], output: list[str]) -> dict[str, Any]:
    return {
        "input": {"required": required},
        "input_order": {"required": list(required)},
        "output": output,
        "output_is_list": [False for _ in output],
        "output_name": output,
        "name": "",
        "display_name": "",
        "description": "",
        "python_module": "nodes",
        "category": "image",
        "output_node": not output,
    }
