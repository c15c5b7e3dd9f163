"""Read a provider SDK's classes: `python -m infra.rehearsal.providers.introspection PACKAGE` prints its schema as JSON.

A process of its own, because it has to import the whole SDK; `schema.py` keeps the result and describes its form.
"""

from __future__ import annotations

import ast
import collections.abc
import enum
import importlib
import inspect
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

import pulumi
from pulumi import _types

from infra.rehearsal.providers.schema import module_of

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


class _Introspection:
    """One walk over an SDK's classes."""

    def __init__(self, module: str) -> None:
        self.module = importlib.import_module(module)
        self.objects: dict[str, dict[str, Any]] = {}

    def run(self) -> dict[str, Any]:
        resources = {token: self._resource(fqn, name) for token, fqn, name in self._registered()}
        return {"resources": resources, "objects": self.objects}

    def _registered(self) -> typing.Iterator[tuple[str, str, str]]:
        """Type token, module and class of everything that the SDK's `__init__` registers with the runtime."""
        assert self.module.__file__
        tree = ast.parse(Path(self.module.__file__).read_text())
        for node in ast.walk(tree):
            if not isinstance(node, ast.keyword) or not isinstance(node.value, ast.Constant):
                continue
            if node.arg == "resource_modules":
                for entry in json.loads(str(node.value.value)):
                    yield from ((token, entry["fqn"], name) for token, name in entry["classes"].items())
            elif node.arg == "resource_packages":
                for entry in json.loads(str(node.value.value)):
                    yield entry["token"], entry["fqn"], entry["class"]

    def _resource(self, fqn: str, name: str) -> dict[str, Any]:
        class_ = getattr(importlib.import_module(fqn), name)
        module = inspect.getmodule(class_)
        # `ServerNetworkArgs` may be a nested object's name already; the resource's is then `ServerNetworkInitArgs`.
        arguments = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args", None)
        outputs = sorted(_types.resource_types(class_))
        return {"inputs": {} if arguments is None else self._properties(arguments), "outputs": outputs}

    def _properties(self, arguments: type) -> dict[str, Any]:
        names = _types.input_type_py_to_pulumi_names(arguments)
        kinds = _types.input_type_types(arguments)
        parameters = inspect.signature(arguments).parameters
        return {
            wire: {
                "type": self._type(kinds.get(wire, Any)),
                "required": python in parameters and parameters[python].default is inspect.Parameter.empty,
            }
            for python, wire in names.items()
        }

    def _type(self, annotation: Any) -> dict[str, Any]:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments)
        if origin in (list, collections.abc.Sequence):
            return {"kind": "list", "items": self._type(arguments[0])}
        if origin in (dict, collections.abc.Mapping):
            return {"kind": "map", "values": self._type(arguments[1])}
        if annotation in _SCALARS:
            return {"kind": _SCALARS[annotation]}
        if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            return {"kind": "enum", "choices": [member.value for member in annotation]}
        if isinstance(annotation, type) and _types.is_input_type(annotation):
            return self._object(annotation)
        return {"kind": "any"}

    def _union(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """`Input[Optional[X]]` is a union of X, of promises of X and of None: only what X itself can be counts."""
        kinds: list[dict[str, Any]] = []
        for argument in arguments:
            origin = typing.get_origin(argument)
            promised = origin in (pulumi.Output, collections.abc.Awaitable)
            if promised or argument is type(None) or typing.is_typeddict(argument):
                continue
            kind = self._type(argument)
            if kind not in kinds:
                kinds.append(kind)
        return kinds[0] if len(kinds) == 1 else {"kind": "oneof", "of": kinds}

    def _object(self, class_: type) -> dict[str, Any]:
        name = f"{class_.__module__}.{class_.__qualname__}"
        if name not in self.objects:
            self.objects[name] = {}  # before the walk: an object may hold its own kind
            self.objects[name] = self._properties(class_)
        return {"kind": "object", "name": name}


if __name__ == "__main__":
    json.dump(_Introspection(module_of(sys.argv[1])).run(), sys.stdout)
