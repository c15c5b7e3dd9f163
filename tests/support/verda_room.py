"""A rehearsed Verda for tests: the stand-in as a process, a client, and providers configured as the engine does it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from infra.rehearsal import made_up
from infra.rehearsal.providers.cloud import Cloud, Fault
from infra.rehearsal.verda.process import running
from infra.rehearsal.verda.store import Store
from infra.verda.api import BASE_URL_VARIABLE, VerdaApi
from infra.verda.provider import Props, VerdaProvider
from infra.verda.resources import VerdaSshKeyProvider

P = TypeVar("P", bound=VerdaProvider)

PLACE = "FIN-01"
GPU = "1H200.141S.44V"
IMAGE = "ubuntu-24.04"


class HurriedClock:
    """Twenty of its seconds pass in a real one: waits keep their order and lose their length."""

    pace = 20

    def now(self) -> float:
        return time.monotonic() * self.pace

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.pace)


@dataclass
class VerdaRoom:
    """One rehearsed Verda. `name` makes names that no other test uses."""

    url: str
    cloud: Cloud
    keys: made_up.SshKeys = field(default_factory=made_up.ssh_keys)
    client_secret: made_up.MadeUp = field(default_factory=made_up.token)
    _count: int = 0

    def api(self, **options: Any) -> VerdaApi:
        return VerdaApi("client", self.client_secret.value, base_url=self.url, **{"clock": HurriedClock(), **options})

    def provider(self, kind: type[P]) -> P:
        """A provider as the engine's own process has it: unpickled, then configured."""
        made = kind()
        made.configure(ConfigureRequest(Config(self.config(), "comfyume")))
        return made

    def config(self) -> dict[str, str]:
        return {
            "comfyume:verda_client_id": "client",
            "comfyume:verda_client_secret": self.client_secret.value,
            "comfyume:operator_private_key": self.keys.private.value,
        }

    def name(self, role: str) -> str:
        self._count += 1
        return f"comfyume-test{self._count}-{role}"

    def host(self, **changes: Any) -> Props:
        """The inputs of a GPU host."""
        key = self.provider(VerdaSshKeyProvider).create({"name": "operator", "public_key": self.keys.public})
        wanted = {
            "hostname": self.name("gpu-1"),
            "description": "a test",
            "instance_type": GPU,
            "image": IMAGE,
            "location": PLACE,
            "ssh_key_ids": [key.id],
            "os_volume_size": 50.0,  # numbers arrive as floats from the engine
            "boot_seconds": 60.0,
        }
        return {**wanted, **changes}

    # -- what exists there --------------------------------------------------------------------------------------------

    def things(self, shelf: str) -> list[dict[str, Any]]:
        return Store(self.cloud.folder).look(shelf)

    def machines(self, hostname: str) -> list[dict[str, Any]]:
        return [machine for machine in self.things("instances") if machine["hostname"] == hostname]

    def volume(self, id_: str) -> dict[str, Any]:
        return next(volume for volume in self.things("volumes") if volume["id"] == id_)

    def backups(self, hostname: str) -> list[dict[str, Any]]:
        """The backups that the host of this name has made."""
        book = self.cloud.folder / "machines" / f"{hostname}.backups.jsonl"
        return [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []

    def fail(self, *faults: Fault) -> None:
        self.cloud.set_faults(*faults)


@contextmanager
def open_room(folder: Path, *, machines: bool = False) -> Iterator[VerdaRoom]:
    """A room in a folder; VERDA_BASE_URL names it for as long as it is open. With `machines` hosts are containers."""
    with running(folder, machines=machines) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(BASE_URL_VARIABLE, url)
        yield VerdaRoom(url, Cloud(folder))
