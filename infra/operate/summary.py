"""What an operation did or would do, by name: for people, for machines, and for a comment on a pull request."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from infra.rehearsal.outcomes import Outcome, Step

_WORDS = {
    "create": "create", "import": "create", "update": "update", "delete": "delete", "replace": "replace",
    "create-replacement": "replace", "delete-replaced": "replace", "discard-replaced": "replace", "discard": "delete",
}  # fmt: skip
_COLOURS = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}
_DONE = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}
_NOT_REAL = ("pulumi:", "comfyume:")
"""Groups and connections of the program: they exist in the state only."""

_AGAIN = "an unhandled error occurred: "
_MARK = {"create": "+", "update": "~", "replace": "+-", "delete": "-"}


@dataclass(frozen=True)
class Change:
    """What happens to one resource: `create`, `update`, `replace` or `delete`."""

    op: str
    name: str
    type: str
    properties: tuple[str, ...] = ()


@dataclass
class Summary:
    """The changes of one operation, each resource once, and why it did not get to its end."""

    changes: list[Change] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def destroys(self) -> list[Change]:
        """What ceases to exist, replaced things included."""
        return [change for change in self.changes if change.op in ("replace", "delete")]

    def counts(self) -> str:
        """`2 to create, 1 to update`."""
        found = [(op, sum(change.op == op for change in self.changes)) for op in _COLOURS]
        return ", ".join(f"{count} to {op}" for op, count in found if count) or "nothing to do"

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "changes": [
                {"op": change.op, "name": change.name, "type": change.type, "properties": list(change.properties)}
                for change in self.changes
            ],
            "errors": self.errors,
        }


def summary_of(outcome: Outcome) -> Summary:
    """The summary of what the engine reported."""
    changes: dict[tuple[str, str], Change] = {}
    for step in outcome.steps:
        op = _WORDS.get(step.op)
        if op and not step.type.startswith(_NOT_REAL):
            known = changes.get((step.type, step.name))
            properties = step.changed or (known.properties if known else ())
            changes[step.type, step.name] = Change(op, step.name, step.type, properties)
    ordered = sorted(changes.values(), key=lambda change: (list(_COLOURS).index(change.op), change.type, change.name))
    return Summary(ordered, _errors(outcome))


def progress(step: Step) -> Text | None:
    """One line while it happens; None for what nobody wants to read."""
    op = _WORDS.get(step.op)
    if not op or step.op in ("create-replacement", "delete-replaced") or step.type.startswith(_NOT_REAL):
        return None
    return Text(f"{_DONE[op]:>9} {step.name}", style=_COLOURS[op])


def rows(changes: Iterable[Change]) -> list[tuple[Text, str, str, str]]:
    """Table rows: what happens, the name, what it is, and what of it changes."""
    return [
        (Text(change.op, style=_COLOURS[change.op]), change.name, kind(change.type), ", ".join(change.properties))
        for change in changes
    ]


def markdown(stack: str, summary: Summary) -> str:
    """The report that is commented on a pull request; its first line is what the comment is found again by."""
    lines = [f"<!-- preview of {stack} -->", f"### `{stack}`: {'failed' if summary.errors else summary.counts()}", ""]
    for error in summary.errors:
        lines += ["```", error.replace("```", "'''"), "```"]
    if summary.destroys:
        names = ", ".join(f"`{change.name}`" for change in summary.destroys)
        lines += [f"**Deleted or replaced:** {names}", ""]
    if summary.changes:
        lines += ["```diff"]
        lines += [
            f"{_MARK[change.op]} {change.name} ({kind(change.type)})"
            + (f": {', '.join(change.properties)}" if change.properties else "")
            for change in summary.changes
        ]
        lines += ["```"]
    return "\n".join(lines) + "\n"


def kind(type_: str) -> str:
    """`hcloud Server` for `hcloud:index/server:Server`; what is written in Python by its own name."""
    package, _, rest = type_.partition(":")
    name = rest.rpartition(":")[2]
    return name if package in ("comfyume", "pulumi-python") else f"{package} {name}"


def _errors(outcome: Outcome) -> list[str]:
    """The engine's own sentences; its last words only where it had none."""
    found = [_sentence(message) for severity, message in outcome.diagnostics if severity == "error" and message.strip()]
    last = [line.strip() for line in outcome.error.splitlines() if line.strip()]
    # The engine repeats what the program has said already.
    repeated = {f"{_AGAIN}{message}" for message in found}
    return [message for message in dict.fromkeys(found) if message not in repeated] or last[-1:]


def _sentence(message: str) -> str:
    """A traceback says its piece in its last line."""
    lines = message.strip().splitlines()
    return f"The program failed: {lines[-1]}" if "Traceback (most recent call last)" in message else "\n".join(lines)
