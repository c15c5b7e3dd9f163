"""A workflow file on its way out: read, looked at once, and searched for the input files that lie beside it.

The bytes of the file travel as they are; whether the graph can run is the queue manager's question.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from services.domain.errors import InvalidInput, NotFound

_FOLDER_MARK = re.compile(r" \[(input|output|temp)\]$")


@dataclass(frozen=True)
class WorkflowFile:
    """One workflow: its raw JSON, the class of every node, and its input files (name in the workflow -> file)."""

    path: Path
    raw: bytes
    node_classes: Mapping[str, str]
    inputs: Mapping[str, Path] = field(default_factory=dict)


def read_workflow(path: Path) -> WorkflowFile:
    """Read a workflow in ComfyUI's API format; raises NotFound or InvalidInput."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"{path}: there is no such file.") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    try:
        graph = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not JSON. Export the workflow from ComfyUI: File > Export (API).") from error
    _check_form(path, graph)
    classes = {node_id: node["class_type"] for node_id, node in graph.items()}
    return WorkflowFile(path, raw, classes, _files_beside(path, graph))


def _check_form(path: Path, graph: Any) -> None:
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise InvalidInput(
            f"{path} is a saved canvas, not a workflow to run. Export it from ComfyUI: File > Export (API)."
        )
    nodes = list(graph.values()) if isinstance(graph, dict) else []
    if not nodes or not all(isinstance(node, dict) and isinstance(node.get("class_type"), str) for node in nodes):
        raise InvalidInput(
            f"{path} is not a workflow in API format (node id -> class_type, inputs). "
            "Export it from ComfyUI: File > Export (API)."
        )


def _files_beside(path: Path, graph: Mapping[str, Any]) -> dict[str, Path]:
    """Find the values in the graph that name a file in the workflow's folder or below it."""
    folder = path.resolve().parent
    found: dict[str, Path] = {}
    for node in graph.values():
        inputs = node.get("inputs")
        for value in inputs.values() if isinstance(inputs, dict) else ():
            file = _file_below(folder, value)
            if file is not None and file != path.resolve():
                found[_FOLDER_MARK.sub("", value)] = file
    return found


def _file_below(folder: Path, value: object) -> Path | None:
    if not isinstance(value, str) or not 0 < len(value) <= 255 or "\0" in value or "\\" in value:
        return None
    name = PurePosixPath(_FOLDER_MARK.sub("", value))
    if name.is_absolute() or ".." in name.parts or not name.name:
        return None
    file = folder / name
    try:
        return file if file.is_file() and file.resolve().is_relative_to(folder) else None
    except OSError:
        return None


def named_input(text: str) -> tuple[str, Path]:
    """Take apart what --input says: FILE, or NAME=FILE when the workflow calls the file NAME."""
    name, separator, file = text.rpartition("=")
    path = Path(file)
    if not path.is_file():
        raise NotFound(f"--input {text}: there is no file {file}. Give FILE, or NAME=FILE.")
    return (name if separator else path.name), path
