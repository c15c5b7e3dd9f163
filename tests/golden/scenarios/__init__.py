"""What is asked of a ComfyUI, by subject; importing this package makes all scenarios known."""

from tests.golden.scenarios import files, nodes, queueing, refusals, running
from tests.golden.scenarios.catalogue import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario", "files", "nodes", "queueing", "refusals", "running"]
