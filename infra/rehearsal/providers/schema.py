"""What an installed provider SDK says about its resources: names, required inputs, types, outputs.

Read from the SDK's classes by introspection, because no schema file comes with them, and kept as JSON by package
version in the user's cache (Cloudflare's SDK takes seconds to import). Which change replaces a resource is in no SDK:
`force_new.toml` has that.

A type is `{"kind": ...}`: string, integer, number, boolean, any; list (`items`), map (`values`), enum (`choices`),
object (`name`, to be looked up in the package's `objects`), oneof (`of`).
"""

from __future__ import annotations

import ast
import collections.abc
import enum
import functools
import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import types
import typing
from pathlib import Path
from typing import Any

import pulumi
from pulumi import _types

from infra.rehearsal.caches import cache_folder

_FORM = 1  # counts up when what is written below changes
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def installed_packages() -> dict[str, str]:
    """Name and version of every provider SDK in this environment, as its `pulumi-plugin.json` has them."""
    found = {}
    for module in pkgutil.iter_modules():
        if module.name.startswith("pulumi_") and (about := _about(module.name)):
            found[about["name"]] = about["version"]
    return found


def package_version(package: str) -> str:
    """The version of the provider that the installed SDK wants."""
    about = _about(module_of(package))
    assert about is not None, f"{package} is not an installed provider SDK"
    return about["version"]


def resource(package: str, type_: str) -> dict[str, Any] | None:
    """`{"inputs": {name: {"type", "required"}}, "outputs": [names]}` of a resource type, None when the SDK has none."""
    found: dict[str, Any] | None = package_schema(package)["resources"].get(type_)
    return found


def outputs_of(package: str, type_: str) -> list[str]:
    """The wire names of a resource's outputs."""
    definition = resource(package, type_)
    return definition["outputs"] if definition else []


@functools.cache
def package_schema(package: str) -> dict[str, Any]:
    """The whole of a package: `{"resources": {type: ...}, "objects": {name: {property: {"type", "required"}}}}`."""
    path = cache_folder("schemas") / f"{package}-{package_version(package)}-form{_FORM}.json"
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(_Introspection(module_of(package)).run()))
        new.rename(path)
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


def module_of(package: str) -> str:
    """`docker-build` -> `pulumi_docker_build`."""
    return f"pulumi_{package.replace('-', '_')}"


def _about(module: str) -> dict[str, str] | None:
    spec = importlib.util.find_spec(module)
    path = Path(spec.origin).parent / "pulumi-plugin.json" if spec and spec.origin else None
    return json.loads(path.read_text()) if path and path.exists() else None


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
        arguments = getattr(inspect.getmodule(class_), f"{name}Args", None)
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
