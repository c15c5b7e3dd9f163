"""The values that the engine and a stand-in exchange: plain Python, secrets opened, names as on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Properties = dict[str, Any]
"""Properties by their wire names (camelCase); values are JSON-like, secrets already opened."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands in a preview for a value that only the deployment will know."""


class ProviderFailure(Exception):
    """The cloud refused. The text is one sentence without a secret; the engine shows it as it is."""


class PartialFailure(ProviderFailure):
    """Something was made, yet not all of it: the resource belongs into the state together with why it is not well."""

    def __init__(self, reason: str, id_: str, outputs: Properties) -> None:
        super().__init__(reason)
        self.id = id_
        self.outputs = outputs


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question of the engine about one resource.

    `inputs` are the wanted ones (for `read` and `delete`: the recorded ones), `old_inputs` and `old_outputs` what the
    engine's state holds. `secret_inputs` names the top-level inputs that hold a secret anywhere. In a preview, values
    may be `UNKNOWN`. `timeout` is in seconds, 0 where the program asked for none.
    """

    type: str
    name: str
    urn: str
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    old_inputs: Properties = field(default_factory=dict)
    old_outputs: Properties = field(default_factory=dict)
    preview: bool = False
    secret_inputs: frozenset[str] = frozenset()
    timeout: float = 0


@dataclass(frozen=True)
class Problem:
    """Why an input is refused. The reason names the property and never repeats its value, which may be a secret."""

    reason: str


@dataclass(frozen=True)
class Checked:
    """The inputs as they will be recorded, and what is wrong with them."""

    inputs: Properties
    problems: Sequence[Problem] = ()


@dataclass(frozen=True)
class Difference:
    """Which top-level properties changed, and which of these only a new resource can have."""

    changed: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Existing:
    """A resource as it is: its id, all its outputs (inputs included), and the inputs that would produce it."""

    id: str
    outputs: Properties
    inputs: Properties = field(default_factory=dict)
