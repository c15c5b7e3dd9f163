"""What an installed provider SDK says about its resources: names, required inputs, types, outputs.

Read from the SDK's classes by introspection, because no schema file comes with them, and kept as JSON by package
version in the user's cache (Cloudflare's SDK takes seconds to import). Which change replaces a resource is in no SDK:
`force_new.toml` has that.

A type is `{"kind": ...}`: string, integer, number, boolean, any; list (`items`), map (`values`), enum (`choices`),
object (`name`, to be looked up in the package's `objects`), oneof (`of`).
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.rehearsal.caches import cache_folder
from infra.repository import REPOSITORY

_FORM = 2  # counts up when what is written below changes


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
        command = [sys.executable, "-W", "ignore", "-m", "infra.rehearsal.providers.introspection", package]
        read = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=True)
        new = path.with_suffix(f".{os.getpid()}.new")
        new.write_text(read.stdout)
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
