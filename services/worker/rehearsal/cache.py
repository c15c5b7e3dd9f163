"""Results kept between prompts: a node whose class, inputs and ancestors are the same does not run again."""

import hashlib
import json
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.worker.rehearsal.graph import is_link
from services.worker.rehearsal.prompt_queue import Graph
from services.worker.rehearsal.values import memory_of

CACHE_BYTES = 512 * 1024 * 1024
"""Pixels kept at most; the results used longest ago leave first."""


@dataclass(frozen=True)
class CachedResult:
    """What a node returned: one list of values an output, and its UI entry as history keeps it."""

    outputs: list[list[Any]]
    ui: dict[str, Any] | None


class ResultCache:
    """Least recently used results by signature."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._entries: OrderedDict[str, tuple[CachedResult, int]] = OrderedDict()
        self._bytes = 0

    def get(self, signature: str) -> CachedResult | None:
        """The kept result, or None."""
        if signature not in self._entries:
            return None
        self._entries.move_to_end(signature)
        return self._entries[signature][0]

    def put(self, signature: str, result: CachedResult) -> None:
        """Keep a result; older ones leave when there is too much. The newest always stays."""
        self._forget(signature)
        size = sum(_bytes_of(value) for values in result.outputs for value in values)
        self._entries[signature] = (result, size)
        self._bytes += size
        while self._bytes > self._limit and len(self._entries) > 1:
            self._forget(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._bytes = 0

    def _forget(self, signature: str) -> None:
        entry = self._entries.pop(signature, None)
        if entry:
            self._bytes -= entry[1]


def _bytes_of(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return memory_of(value)
    return int(getattr(value, "nbytes", 0)) + 1024


def signatures(graph: Graph, fingerprint: Callable[[str], Any], needs_id: Callable[[str], bool]) -> dict[str, str]:
    """One text per node that is equal exactly when the node would return the same.

    A fingerprint unequal to itself (NaN) makes the node's signature, and those of all that depend on it, unique.
    Nodes on a cycle get a unique signature as well.
    """
    found: dict[str, str] = {}
    for start in graph:
        path = [start]
        on_path = {start}
        while path:
            current = path[-1]
            missing = [s for s in _sources(graph, current) if s not in found and s not in on_path and s in graph]
            if missing:
                path.append(missing[0])
                on_path.add(missing[0])
                continue
            if current not in found:
                found[current] = _signature(graph, current, found, fingerprint, needs_id)
            on_path.discard(path.pop())
    return found


def _sources(graph: Graph, node_id: str) -> list[str]:
    return [value[0] for value in graph[node_id].get("inputs", {}).values() if is_link(value)]


def _signature(
    graph: Graph,
    node_id: str,
    found: dict[str, str],
    fingerprint: Callable[[str], Any],
    needs_id: Callable[[str], bool],
) -> str:
    changed = fingerprint(node_id)
    parts: list[Any] = [graph[node_id]["class_type"], str(uuid.uuid4()) if changed != changed else changed]
    if needs_id(node_id):
        parts.append(node_id)
    for name, value in sorted(graph[node_id].get("inputs", {}).items()):
        if is_link(value):
            parts.append([name, "link", found.get(value[0], str(uuid.uuid4())), value[1]])
        else:
            parts.append([name, type(value).__name__, value])
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
