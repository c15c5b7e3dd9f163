"""The inputs of one node class as they stand for one node: the declared ones, and those that its values call up.

ComfyUI's newer nodes grow inputs: a combo whose choice brings inputs of its own, a list of slots with numbered names.
Which of them exist depends on the node's values, so they are worked out per node.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from services.domain.node_inputs import NodeInput, inputs_of, read_input

_AUTOGROW = "COMFY_AUTOGROW_V3"
_DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
_DYNAMIC_SLOT = "COMFY_DYNAMICSLOT_V3"

_ACCEPTS_ANYTHING = frozenset({"Load3D", "Load3DAdvanced", "CustomCombo"})
"""Classes of the core that take over the checking of all their values (read from ComfyUI 0.33.0)."""


class NodeSchema:
    """What one class declares, read once per check."""

    def __init__(self, class_type: str, info: Mapping[str, Any]) -> None:
        self.class_type = class_type
        self.info = info
        self.declared = [self._as_checked(declared) for declared in inputs_of(class_type, info)]
        self.files = [declared for declared in self.declared if declared.file_word is not None]
        self.grows = any(declared.type in (_AUTOGROW, _DYNAMIC_COMBO, _DYNAMIC_SLOT) for declared in self.declared)

    @property
    def speaks_for_all(self) -> bool:
        """Whether a complaint of the class about its file is repeated under each of its inputs."""
        return self.class_type in _ACCEPTS_ANYTHING

    def _as_checked(self, declared: NodeInput) -> NodeInput:
        return replace(declared, checked=False) if self.class_type in _ACCEPTS_ANYTHING else declared

    def live_inputs(self, values: Mapping[str, Any]) -> list[NodeInput]:
        """List the inputs that a node with these values has."""
        if not self.grows:
            return self.declared
        found: dict[str, NodeInput] = {}
        try:
            expanded = list(_expand(self.info.get("input") or {}, values, ()))
        except (KeyError, TypeError, IndexError, AttributeError):  # a form that this version of ComfyUI does not have
            return self.declared
        for section, name, spec in expanded:
            found[name] = self._as_checked(read_input(self.class_type, name, spec, required=section == "required"))
        return list(found.values())


Expanded = tuple[str, str, list[Any]]


def _expand(sections: Mapping[str, Any], values: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterator[Expanded]:
    for section, declared in sections.items():
        if section not in ("required", "optional") or not isinstance(declared, Mapping):
            continue
        for own_name, spec in declared.items():
            path = (*prefix, own_name)
            if spec[0] == _AUTOGROW:
                yield from _slots(spec[1]["template"], path)
            elif spec[0] == _DYNAMIC_COMBO:
                yield from _chosen(section, spec, values, path)
            elif spec[0] == _DYNAMIC_SLOT:
                yield from _linked(section, spec, values, path)
            else:
                yield section, ".".join(path), spec


def _slots(template: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Expanded]:
    """List the numbered or named slots; as many as the class asks for are required."""
    names = template.get("names")
    if names is None:
        names = [f"{template['prefix']}{number}" for number in range(template["max"])]
    section, spec = next(
        ((section, next(iter(inner.values()))) for section, inner in template["input"].items() if inner), ("", [])
    )
    for number, name in enumerate(names):
        required = section == "required" and number < template["min"]
        yield "required" if required else "optional", ".".join((*path, name)), spec


def _chosen(section: str, spec: list[Any], values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Expanded]:
    """List the combo and the inputs that its choice brings; nothing for a choice that is not there."""
    name = ".".join(path)
    for option in spec[1].get("options", ()):
        if name in values and option.get("key") == values[name]:
            yield from _expand(option.get("inputs") or {}, values, path)
            yield section, name, spec
            return


def _linked(section: str, spec: list[Any], values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Expanded]:
    """List the slot, and behind it the inputs that it brings once something is linked to it."""
    name = ".".join(path)
    if name in values:
        yield from _expand(spec[1].get("inputs") or {}, values, path)
        yield section, name, spec
