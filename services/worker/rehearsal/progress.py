"""The progress messages of one prompt: the state of every node that is not pending, in every message."""

from collections.abc import Callable
from typing import Any

Send = Callable[[str, dict[str, Any]], None]


class Progress:
    """Value, maximum and state per node; each change is sent as `progress_state` with all nodes so far."""

    def __init__(self, prompt_id: str, send: Send) -> None:
        self._prompt_id = prompt_id
        self._send = send
        self._nodes: dict[str, dict[str, Any]] = {}

    def start(self, node_id: str) -> None:
        """The node begins to run."""
        self._set(node_id, 0.0, 1.0, "running")

    def update(self, node_id: str, value: int, maximum: int) -> None:
        """The node got to `value` of `maximum`."""
        self._set(node_id, value, maximum, "running")

    def finish(self, node_id: str) -> None:
        """The node has run, or its result was cached."""
        maximum = self._nodes.get(node_id, {"max": 1})["max"]
        self._set(node_id, maximum, maximum, "finished")

    def _set(self, node_id: str, value: float, maximum: float, state: str) -> None:
        self._nodes[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        self._send("progress_state", {"prompt_id": self._prompt_id, "nodes": dict(self._nodes)})
