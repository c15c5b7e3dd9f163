"""The node catalogue (/object_info): which nodes there are, their inputs and outputs.

The entries come from data/catalogue.json. Lists of files are filled in when asked for: `{"$models": folder}` stands for
the model files of a kind, `{"$files": "input", "types": [...]}` for the files in the input folder.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from services.worker.rehearsal import fault_names
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.models import ModelFiles

DATA = Path(__file__).parent / "data"

NodeInfo = dict[str, Any]


@cache
def _entries() -> dict[str, NodeInfo]:
    return _read("catalogue.json")


@cache
def _fault_entries() -> dict[str, NodeInfo]:
    entries = _read("fault_nodes.json")
    assert set(entries) == set(fault_names.NAMES)
    return entries


def _read(name: str) -> dict[str, NodeInfo]:
    entries: dict[str, NodeInfo] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return {node: {**entry, "output": tuple(entry["output"])} for node, entry in entries.items()}


class Catalogue:
    """The nodes this engine offers."""

    def __init__(self, folders: Folders, models: ModelFiles, *, fault_nodes: bool) -> None:
        self._folders = folders
        self._models = models
        self._nodes = {**_entries(), **(_fault_entries() if fault_nodes else {})}

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def names(self) -> list[str]:
        """All node names, in catalogue order."""
        return list(self._nodes)

    def entry(self, name: str) -> NodeInfo:
        """The entry as stored, file lists not filled in; for outputs and flags. Raises KeyError."""
        return self._nodes[name]

    def info(self, name: str) -> NodeInfo:
        """The entry as /object_info shows it. Raises KeyError."""
        entry = self._nodes[name]
        return {**entry, "input": self._fill(entry["input"])}

    def object_info(self) -> dict[str, NodeInfo]:
        """All entries as /object_info shows them."""
        return {name: self.info(name) for name in self._nodes}

    def _fill(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "$models" in value:
                return self._models.names(value["$models"]) + value.get("more", [])
            if "$files" in value:
                return self._folders.list_input(tuple(value["types"]))
            return {key: self._fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._fill(inner) for inner in value]
        return value


def is_output_node(entry: NodeInfo) -> bool:
    """Whether a prompt may end in this node."""
    return bool(entry.get("output_node"))
