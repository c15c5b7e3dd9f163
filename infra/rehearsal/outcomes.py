"""What came out of one operation of the engine: steps, diagnostics, outputs, time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pulumi.automation import EngineEvent


@dataclass(frozen=True)
class Step:
    """What the engine did, or would do, with one resource: `create`, `update`, `delete`, `same`, `replace` ..."""

    op: str
    type: str
    name: str
    urn: str
    changed: tuple[str, ...] = ()


@dataclass
class Outcome:
    """One preview, up, refresh or destroy. `text` is everything it printed; `seconds` is wall clock."""

    operation: str
    steps: list[Step] = field(default_factory=list)
    failed_steps: list[Step] = field(default_factory=list)
    diagnostics: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    seconds: float = 0
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def changes(self) -> list[Step]:
        """The steps that are more than a look."""
        return [step for step in self.steps if step.op not in ("same", "read", "refresh")]

    def count(self, op: str, type_: str = "") -> int:
        """How many resources: `count("create")`, `count("delete", "hcloud:index/server:Server")`."""
        return sum(step.op == op and (not type_ or step.type == type_) for step in self.steps)

    def counts(self, op: str = "create") -> Counter[str]:
        """By type, how many resources met this operation."""
        return Counter(step.type for step in self.steps if step.op == op)

    def names(self, op: str, type_: str = "") -> set[str]:
        """The logical names that met an operation."""
        return {step.name for step in self.steps if step.op == op and (not type_ or step.type == type_)}

    @property
    def errors(self) -> list[str]:
        """The diagnostics that are errors."""
        return [message for severity, message in self.diagnostics if severity == "error"]

    def note(self, event: EngineEvent) -> None:
        """Take over one event of the engine."""
        if event.res_outputs_event:
            self._note_step(_step(event.res_outputs_event.metadata))
        elif event.res_op_failed_event:
            self.failed_steps.append(_step(event.res_op_failed_event.metadata))
        elif event.diagnostic_event:
            self.diagnostics.append((event.diagnostic_event.severity, event.diagnostic_event.message))

    def _note_step(self, step: Step) -> None:
        """The stack reports twice, and default providers are the engine's own: neither counts, as in its summary."""
        is_default = step.type.startswith("pulumi:providers:") and step.name.startswith("default")
        if step not in self.steps and not is_default:
            self.steps.append(step)


class DeploymentFailed(Exception):
    """The engine did not get to the end; `outcome` says how far it came."""

    def __init__(self, outcome: Outcome) -> None:
        reasons = "\n".join(outcome.errors) or outcome.error
        super().__init__(f"{outcome.operation} failed: {reasons}")
        self.outcome = outcome


def _step(metadata: Any) -> Step:
    op = getattr(metadata.op, "value", metadata.op)
    urn = metadata.urn
    return Step(op, metadata.type, urn.rsplit("::", 1)[-1], urn, tuple(sorted(metadata.detailed_diff or ())))
