"""How far a running job is, from the messages that ComfyUI sent about it. Pure: no input or output."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class NodeProgress:
    """The share of a workflow's nodes that is done; `node_classes` maps node id -> class."""

    node_classes: Mapping[str, str]
    shares: dict[str, float] = field(default_factory=dict)
    current: str | None = None
    steps: tuple[int, int] | None = None

    @property
    def share(self) -> float:
        """Between 0 and 1; nodes count alike, because nobody knows their cost beforehand."""
        if not self.node_classes:
            return 0.0
        return min(1.0, sum(self.shares.values()) / len(self.node_classes))

    @property
    def words(self) -> str:
        """The node at work and its steps: `KSampler 7/20`."""
        if self.current is None:
            return ""
        name = self.node_classes.get(self.current, f"node {self.current}")
        return f"{name} {self.steps[0]}/{self.steps[1]}" if self.steps and self.steps[1] > 1 else name

    def restart(self) -> None:
        """Forget everything: the job begins anew."""
        self.shares.clear()
        self.current = self.steps = None

    def take(self, message: str, data: Mapping[str, Any]) -> None:
        """Take in one message of ComfyUI; those that say nothing about progress change nothing."""
        if message == "execution_start":
            self.restart()
        elif message == "execution_cached":
            for node in data.get("nodes") or []:
                self._done(str(node))
        elif message == "executing" and data.get("node") is not None:
            self._begin(str(data["node"]))
        elif message == "executed" and data.get("node") is not None:
            self._done(str(data["node"]))
        elif message == "progress_state":
            self._take_states(data.get("nodes"))

    def _take_states(self, nodes: object) -> None:
        if not isinstance(nodes, Mapping):
            return
        for key, state in nodes.items():
            if not isinstance(state, Mapping):
                continue
            node = str(state.get("node_id") or key)
            if state.get("state") == "finished":
                self._done(node)
            elif state.get("state") == "running":
                self._begin(node)
                value, maximum = state.get("value"), state.get("max")
                if isinstance(value, int | float) and isinstance(maximum, int | float) and maximum > 0:
                    self.steps = (int(value), int(maximum))
                    self.shares[node] = min(1.0, value / maximum)

    def _begin(self, node: str) -> None:
        if node != self.current:
            self.current, self.steps = node, None
            self.shares.setdefault(node, 0.0)

    def _done(self, node: str) -> None:
        if node in self.node_classes:
            self.shares[node] = 1.0
        if node == self.current:
            self.current = self.steps = None
