"""A dynamic resource that rents something for money: its create adopts by name, so that nothing is rented twice."""

import os
import time
import uuid
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider


def rented(cloud: Path) -> dict[str, str]:
    """Names and ids of what is rented in a rehearsed cloud."""
    return {path.name: path.read_text() for path in sorted((cloud / "rented").glob("*"))}


def hold(cloud: Path) -> Path:
    """While this file exists, a create does not come back, though the thing is rented already."""
    return cloud / "hold"


class _Provider(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        cloud = _cloud()
        rented_as = cloud / "rented" / props["name"]
        rented_as.parent.mkdir(exist_ok=True)
        if not rented_as.exists():
            rented_as.write_text(uuid.uuid4().hex)
        while hold(cloud).exists():
            time.sleep(0.1)
        return CreateResult(rented_as.read_text(), {**props, "address": "192.0.2.7"})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in ("name", "token") if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(changed), replaces=["name"] if "name" in changed else [])

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, props) if id_ in rented(_cloud()).values() else ReadResult(None, {})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        (_cloud() / "rented" / _props["name"]).unlink(missing_ok=True)


class SmallHost(Resource):
    """Something rented under a name."""

    address: pulumi.Output[str]

    def __init__(self, logical_name: str, *, name: str, token: pulumi.Input[str]) -> None:
        super().__init__(_Provider(), logical_name, {"name": name, "token": token, "address": None})


def _cloud() -> Path:
    return Path(os.environ["COMFYUME_REHEARSAL"])
