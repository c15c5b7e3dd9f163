"""Which function stands for which node, and what such a function is given.

A node's inputs, outputs and limits are in the catalogue; here is only what it does.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from PIL import Image

from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.interrupt import Interrupt
from services.worker.rehearsal.prompt_queue import Graph

NEVER_SAME = math.nan
"""A fingerprint that makes a node run every time."""


@dataclass(frozen=True)
class Pace:
    """How long things pretend to take, in seconds."""

    step: float
    load: float


@dataclass
class NodeRun:
    """What a node's function may use while it runs."""

    node_id: str
    folders: Folders
    pace: Pace
    interrupt: Interrupt
    graph: Graph
    extra_pnginfo: dict[str, Any] | None
    report: Callable[[int, int, Image.Image | None], None]
    tell_text: Callable[[str], None]
    previews: bool
    loaded: set[str]

    def wait(self, seconds: float) -> None:
        """Let time pass; raises InterruptedPrompt when a stop is asked for."""
        self.interrupt.wait(seconds)

    def load_model(self, name: str) -> None:
        """Take the loading time for a model that is not loaded yet."""
        if name not in self.loaded:
            self.wait(self.pace.load)
            self.loaded.add(name)


@dataclass(frozen=True)
class NodeResult:
    """A node's outputs in the catalogue's order, and what it shows in the UI."""

    outputs: tuple[Any, ...] = ()
    ui: dict[str, Sequence[Any]] = field(default_factory=dict)


NodeFunction = Callable[..., "NodeResult | tuple[Any, ...]"]


@dataclass(frozen=True)
class Behaviour:
    """What the engine knows about a node beyond its catalogue entry.

    fingerprint: given the constant inputs, a value that changes when the node must run again.
    validate: given the folders and the constant inputs, True or a sentence that says what is wrong.
    validated: inputs that `validate` looks at; the general checks of limits and lists skip them.
    lazy: given the inputs so far, the names of the lazy inputs that are needed.
    """

    run: NodeFunction
    fingerprint: Callable[..., Any] | None = None
    validate: Callable[..., bool | str] | None = None
    validated: frozenset[str] = frozenset()
    lazy: Callable[..., list[str]] | None = None


BEHAVIOURS: dict[str, Behaviour] = {}
"""Filled by the decorator below when the modules of this package are imported."""

F = TypeVar("F", bound=NodeFunction)


def node(
    *names: str,
    fingerprint: Callable[..., Any] | None = None,
    validate: Callable[..., bool | str] | None = None,
    validated: Sequence[str] = (),
    lazy: Callable[..., list[str]] | None = None,
) -> Callable[[F], F]:
    """Make the decorated function what the nodes of these names do."""

    def register(function: F) -> F:
        for name in names:
            if name in BEHAVIOURS:
                raise ValueError(f"Two functions stand for the node {name}.")
            BEHAVIOURS[name] = Behaviour(function, fingerprint, validate, frozenset(validated), lazy)
        return function

    return register
