"""What a node's catalogue entry says about its inputs, with inputs that depend on other inputs spelled out."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

ANY_TYPES = ("*", "COMFY_MATCHTYPE_V3")


@dataclass(frozen=True)
class InputSpec:
    """One input. `type` is ComfyUI's type word, or the list of choices in the older form."""

    name: str
    type: str | list[Any]
    options: dict[str, Any]
    required: bool
    brings_inputs: bool = False
    """Whether the choice decides which further inputs there are."""

    @property
    def config(self) -> list[Any]:
        """Type and options as ComfyUI shows them in its errors."""
        return [self.type, self.options]

    @property
    def choices(self) -> list[Any] | None:
        """The values allowed, None when the input is not a list to choose from."""
        if isinstance(self.type, list):
            return self.type
        return list(self.options.get("options", [])) if self.type == "COMBO" else None

    def convert(self, value: Any) -> Any:
        """The value in the input's own type. Raises ValueError or TypeError when that cannot be."""
        if isinstance(value, dict) and "__value__" in value:
            value = value["__value__"]
        if self.type == "INT":
            return int(value)
        if self.type == "FLOAT":
            return float(value)
        if self.type == "STRING":
            return str(value)
        if self.type == "BOOLEAN":
            return bool(value)
        return value


def input_specs(info: dict[str, Any], given: dict[str, Any]) -> list[InputSpec]:
    """All inputs of a node, required ones first; `given` decides which dependent inputs there are."""
    return [
        spec
        for category in ("required", "optional")
        for name, config in info["input"].get(category, {}).items()
        for spec in _expand(name, config, category == "required", given)
    ]


def _expand(name: str, config: list[Any], required: bool, given: dict[str, Any]) -> Iterator[InputSpec]:
    kind = config[0]
    options = config[1] if len(config) > 1 else {}
    if kind == "COMFY_DYNAMICCOMBO_V3":
        yield from _dynamic_combo(name, options, required, given)
    elif kind == "COMFY_AUTOGROW_V3":
        yield from _autogrow(name, options["template"], given)
    else:
        yield InputSpec(name, kind, options, required)


def _dynamic_combo(name: str, options: dict[str, Any], required: bool, given: dict[str, Any]) -> Iterator[InputSpec]:
    keys = [option["key"] for option in options["options"]]
    yield InputSpec(name, "COMBO", {"options": keys}, required, brings_inputs=True)
    for option in options["options"]:
        if option["key"] == given.get(name):
            for category in ("required", "optional"):
                for inner, config in option["inputs"].get(category, {}).items():
                    yield from _expand(f"{name}.{inner}", config, category == "required", given)


def _autogrow(name: str, template: dict[str, Any], given: dict[str, Any]) -> Iterator[InputSpec]:
    config = next(iter((template["input"].get("required") or template["input"]["optional"]).values()))
    names = template.get("names") or [f"{template.get('prefix', '')}{i}" for i in range(template["max"])]
    for number, inner in enumerate(names):
        full = f"{name}.{inner}"
        required = number < template.get("min", 0)
        if required or full in given:
            yield InputSpec(full, config[0], config[1] if len(config) > 1 else {}, required)


def nest(values: dict[str, Any], choices: Container[str]) -> dict[str, Any]:
    """Turn {"a.b": 1, "c": 2} into {"a": {"b": 1}, "c": 2}, as nodes with dependent inputs receive them.

    `choices` names the inputs that bring others; such a one goes in with them under its own name: {"a": "x", "a.b": 1}
    becomes {"a": {"a": "x", "b": 1}}.
    """
    nested: dict[str, Any] = {}
    for name in sorted(values, key=lambda n: n.count(".")):
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = {last: values[name]} if name in choices else values[name]
    return nested


def types_fit(received: Any, wanted: Any) -> bool:
    """Whether an output of one type may be linked to an input of another; types may be lists "A,B"."""
    if received == wanted or received in ANY_TYPES or wanted in ANY_TYPES:
        return True
    if isinstance(received, list) and wanted == "COMBO":
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return False
    given = {part.strip() for part in received.split(",")}
    asked = {part.strip() for part in wanted.split(",")}
    return "*" in given | asked or bool(given & asked)
