"""Check what a program gives a resource against what the installed SDK defines, down into nested values.

The engine prints the value of a property that it is told has a problem, secrets included. So every problem is put into
the reason alone: it names the property by its path, says what is allowed, and never repeats a value.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.providers.schema import package_schema, resource
from infra.rehearsal.providers.values import UNKNOWN, Checked, Problem, Properties, Request

_WORDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
_ASSET = "4dabf18193072939515e22adb298388d"  # the key that marks an asset or an archive on the wire


def check_inputs(package: str, request: Request) -> Checked:
    """The inputs as they are, with one problem for each thing that the SDK's definition of this type does not allow."""
    return Checked(request.inputs, [Problem(reason) for reason in _reasons(package, request.type, request.inputs)])


def _reasons(package: str, type_: str, inputs: Properties) -> Iterator[str]:
    definition = resource(package, type_)
    if definition is None:
        yield f"the installed SDK of {package} knows no resource type {type_}"
        return
    yield from _object(package, "", definition["inputs"], inputs)


def _object(package: str, path: str, properties: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(properties.keys() - value.keys()):
        if properties[name]["required"]:
            yield f'"{path}{name}" is required'
    for name, item in value.items():
        if name in properties:
            yield from _value(package, f"{path}{name}", properties[name]["type"], item)
        elif not name.startswith("__"):
            near = difflib.get_close_matches(name, properties, 1)
            yield f'"{path}{name}" is unknown' + (f'; did you mean "{path}{near[0]}"?' if near else "")


def _value(package: str, path: str, kind: Mapping[str, Any], value: Any) -> Iterator[str]:
    if value is None or value == UNKNOWN or kind["kind"] == "any" or (isinstance(value, dict) and _ASSET in value):
        return
    match kind["kind"]:
        case "oneof":
            if all(any(True for _ in _value(package, path, one, value)) for one in kind["of"]):
                yield f'"{path}" fits none of the forms it can have'
        case "list":
            yield from _list(package, path, kind, value)
        case "map":
            yield from _map(package, path, kind, value)
        case "object":
            if isinstance(value, dict):
                yield from _object(package, f"{path}.", package_schema(package)["objects"][kind["name"]], value)
            else:
                yield f'"{path}" must be an object'
        case "enum":
            if value not in kind["choices"]:
                yield f'"{path}" must be one of {", ".join(map(str, kind["choices"]))}'
        case scalar:
            if not _is(scalar, value):
                yield f'"{path}" must be {_WORDS[scalar]}'


def _list(package: str, path: str, kind: Mapping[str, Any], value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        yield f'"{path}" must be a list'
        return
    for number, item in enumerate(value):
        yield from _value(package, f"{path}[{number}]", kind["items"], item)


def _map(package: str, path: str, kind: Mapping[str, Any], value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f'"{path}" must be a map'
        return
    for name, item in value.items():
        yield from _value(package, f"{path}.{name}", kind["values"], item)


def _is(scalar: str, value: Any) -> bool:
    match scalar:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)
