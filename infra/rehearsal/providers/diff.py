"""Tell which properties changed and whether that replaces the resource, by the table in `force_new.toml`."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any

from infra.rehearsal.providers.values import Difference, Request


@functools.cache
def rules() -> dict[str, dict[str, Any]]:
    """The table: resource type -> replaces, in_place, ignored, delete_before_replace."""
    return tomllib.loads(Path(__file__).with_name("force_new.toml").read_text())


def compare(request: Request) -> Difference:
    """Compare the recorded inputs with the wanted ones. A value that is not known yet counts as changed."""
    rule = rules().get(request.type, {})
    names = {name for name in request.old_inputs.keys() | request.inputs.keys() if not name.startswith("__")}
    changed = {name for name in names if request.old_inputs.get(name) != request.inputs.get(name)}
    changed -= set(rule.get("ignored", ()))
    replaces = changed - set(rule["in_place"]) if "in_place" in rule else changed & set(rule.get("replaces", ()))
    return Difference(frozenset(changed), frozenset(replaces), bool(rule.get("delete_before_replace")))
