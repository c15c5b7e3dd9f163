"""Put the stand-ins where the engine looks for providers: one launcher per installed SDK, in exactly its version.

In the plugin folder of a PULUMI_HOME of their own they are found without a warning and stay invisible to real
deployments, which have another PULUMI_HOME.
"""

from __future__ import annotations

import importlib.metadata
import shlex
import sys
from pathlib import Path

from infra.rehearsal.providers.schema import installed_packages, package_schema
from infra.repository import REPOSITORY


def install(pulumi_home: Path) -> None:
    """Write a launcher for every provider SDK of this environment, and one for the program's dynamic resources."""
    for name, version in installed_packages().items():
        package_schema(name)  # read the SDK now, once, rather than in the middle of a preview
        folder = pulumi_home / "plugins" / f"resource-{name}-v{version}"
        folder.mkdir(parents=True, exist_ok=True)
        write_launcher(folder / f"pulumi-resource-{name}", "infra.rehearsal.providers", name)
    dynamic = pulumi_home / "plugins" / f"resource-pulumi-python-v{version_of_sdk()}"
    dynamic.mkdir(parents=True, exist_ok=True)
    write_launcher(dynamic / "pulumi-resource-pulumi-python", "infra.rehearsal.dynamic_provider")


def version_of_sdk() -> str:
    """The version of the installed Pulumi SDK."""
    return importlib.metadata.version("pulumi")


def write_launcher(path: Path, module: str, *arguments: str) -> None:
    """An executable that becomes `python -m module`, with the repository to import from, from whatever folder."""
    words = shlex.join([sys.executable, "-u", "-m", module, *arguments])
    repository = shlex.quote(str(REPOSITORY))
    path.write_text(f'#!/bin/sh\nPYTHONPATH={repository}${{PYTHONPATH:+:$PYTHONPATH}} exec {words} "$@"\n')
    path.chmod(0o755)
