"""In which order the nodes of a prompt run: as ComfyUI picks them, outputs as early as possible."""

from collections.abc import Callable
from typing import Any

from services.worker.rehearsal.prompt_queue import Graph


def is_link(value: Any) -> bool:
    """Whether an input's value is a connection: `[node id, output number]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
        and not isinstance(value[1], bool)
    )


class RunOrder:
    """The nodes still to run. Links go in while it is used: a lazy input may be asked for late."""

    def __init__(
        self,
        graph: Graph,
        is_cached: Callable[[str], bool],
        is_output: Callable[[str], bool],
        is_lazy: Callable[[str, str], bool],
    ) -> None:
        self._graph = graph
        self._is_cached = is_cached
        self._is_output = is_output
        self._is_lazy = is_lazy
        self._waits_for: dict[str, set[str]] = {}
        self._blocks: dict[str, dict[str, None]] = {}

    def add(self, node_id: str) -> None:
        """Add a node and, unless cached or lazy, all it depends on."""
        links: list[tuple[str, str]] = []
        todo = [node_id]
        while todo:
            current = todo.pop()
            if current in self._waits_for:
                continue
            self._waits_for[current] = set()
            self._blocks[current] = {}
            for name, value in self._graph[current]["inputs"].items():
                if is_link(value) and not self._is_lazy(current, name):
                    if not self._is_cached(value[0]):
                        todo.append(value[0])
                    links.append((value[0], current))
        for source, target in links:
            self.link(source, target)

    def link(self, source: str, target: str) -> None:
        """Let `target` wait for `source`, unless the result of `source` is already there."""
        if self._is_cached(source):
            return
        self.add(source)
        self._waits_for[target].add(source)
        self._blocks[source][target] = None

    def pick(self) -> str | None:
        """The next node to run, None when all have run.

        A ready output node comes first, then one right before an output, then one two steps before. Raises
        RuntimeError when the rest wait for each other.
        """
        if not self._waits_for:
            return None
        ready = [node_id for node_id, sources in self._waits_for.items() if not sources]
        if not ready:
            raise RuntimeError("Dependency cycle detected")
        for distance in range(3):
            for node_id in ready:
                if self._output_after(node_id, distance):
                    return node_id
        return ready[0]

    def _output_after(self, node_id: str, steps: int) -> bool:
        if steps == 0:
            return self._is_output(node_id)
        return any(self._output_after(target, steps - 1) for target in self._blocks[node_id])

    def done(self, node_id: str) -> None:
        """Take a finished node out."""
        del self._waits_for[node_id]
        for target in self._blocks.pop(node_id):
            self._waits_for[target].discard(node_id)
