"""Runs one node of the rehearsal engine by itself, without a server."""

from pathlib import Path
from typing import Any

from PIL import Image

from services.worker.rehearsal import nodes  # noqa: F401 - fills the registry
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.interrupt import Interrupt
from services.worker.rehearsal.nodes.registry import BEHAVIOURS, NodeResult, NodeRun, Pace


class Bench:
    """A folder and the record of what the node reported."""

    def __init__(self, root: Path, *, previews: bool = False, step_seconds: float = 0.0) -> None:
        self.folders = Folders(root)
        self.folders.prepare()
        self.interrupt = Interrupt()
        self.reports: list[tuple[int, int, Image.Image | None]] = []
        self.texts: list[str] = []
        self.node_run = NodeRun(
            node_id="1",
            folders=self.folders,
            pace=Pace(step_seconds, 0.0),
            interrupt=self.interrupt,
            graph={"1": {"class_type": "X", "inputs": {}}},
            extra_pnginfo={"workflow": {"id": "w"}},
            report=lambda value, maximum, preview: self.reports.append((value, maximum, preview)),
            tell_text=self.texts.append,
            previews=previews,
            loaded=set(),
        )

    def run(self, name: str, **inputs: Any) -> NodeResult:
        """Run a node with plain values."""
        answer = BEHAVIOURS[name].run(self.node_run, **inputs)
        return answer if isinstance(answer, NodeResult) else NodeResult(answer)

    def out(self, name: str, **inputs: Any) -> Any:
        """The first output of a node."""
        return self.run(name, **inputs).outputs[0]

    def saved(self, result: NodeResult, key: str = "images") -> list[Path]:
        """The files a node names in its UI entry."""
        return [self.folders.root / e["type"] / e["subfolder"] / e["filename"] for e in result.ui[key]]
