"""The rehearsed cloud: one folder with what exists (`cloud.json`), what shall fail (`faults.json`) and what was asked.

The folder is named by COMFYUME_REHEARSAL. Several stand-in processes and the tests use it at once, so every look
happens under one file lock and every write replaces the file as a whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "COMFYUME_REHEARSAL"
MACHINES_VARIABLE = "COMFYUME_REHEARSAL_MACHINES"
"""`none`: nothing real is started, addresses are invented and commands only recorded."""


@dataclass(frozen=True)
class Record:
    """One resource of the rehearsed cloud: what it was asked to be (inputs) and what it is (outputs)."""

    package: str
    type: str
    id: str
    name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.package}/{self.type}/{self.id}"


@dataclass(frozen=True)
class Fault:
    """What shall go wrong with a call: an error, a partial failure, a delay in seconds; before or after it was done.

    An error "after" is the answer that gets lost: the thing was made and nobody was told.
    """

    op: str
    urn: str = ""
    error: str = ""
    partial: str = ""
    sleep: float = 0
    times: int = -1  # -1: every time
    when: str = "before"


class Cloud:
    """The folder of one rehearsal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @classmethod
    def from_environment(cls) -> Cloud:
        """The cloud that COMFYUME_REHEARSAL names; raises KeyError where it is unset."""
        return cls(Path(os.environ[FOLDER_VARIABLE]))

    # -- what exists --------------------------------------------------------------------------------------------------

    def records(self, type_: str = "") -> list[Record]:
        """Everything that exists, or everything of one type (`hcloud:index/server:Server`)."""
        with self.locked():
            found = [Record(**entry) for entry in self._read("cloud.json", {}).get("resources", {}).values()]
        return [record for record in found if not type_ or record.type == type_]

    def get(self, package: str, type_: str, id_: str) -> Record | None:
        with self.locked():
            entry = self._read("cloud.json", {}).get("resources", {}).get(f"{package}/{type_}/{id_}")
        return None if entry is None else Record(**entry)

    def put(self, record: Record) -> None:
        with self.data() as data:
            data.setdefault("resources", {})[record.key] = asdict(record)

    def remove(self, package: str, type_: str, id_: str) -> None:
        with self.data() as data:
            data.setdefault("resources", {}).pop(f"{package}/{type_}/{id_}", None)

    @contextmanager
    def data(self) -> Iterator[dict[str, Any]]:
        """The whole of `cloud.json` for changing, under the lock. Stand-ins may keep sections of their own in it."""
        with self.locked():
            data = self._read("cloud.json", {})
            yield data
            self._write("cloud.json", data)

    # -- what shall fail ----------------------------------------------------------------------------------------------

    def set_faults(self, *faults: Fault) -> None:
        """From now on these calls go wrong; no faults: everything works again."""
        with self.locked():
            self._write("faults.json", [asdict(fault) for fault in faults])

    def fault(self, op: str, urn: str) -> Fault | None:
        """The first fault that fits this call, counted down."""
        with self.locked():
            entries = self._read("faults.json", [])
            for entry in entries:
                fault = Fault(**entry)
                if fault.op == op and fault.times != 0 and re.search(fault.urn, urn):
                    if fault.times > 0:
                        entry["times"] = fault.times - 1
                        self._write("faults.json", entries)
                    return fault
        return None

    # -- what was asked -----------------------------------------------------------------------------------------------

    def note_call(self, op: str, urn: str, id_: str, error: str = "", began: bool = False) -> None:
        """Add a line to `calls.jsonl`: who was asked what, never with which values."""
        line = {
            "at": time.time(),
            "op": op,
            "urn": urn,
            "id": id_,
            "error": error,
            "began": began,
            "process": os.getpid(),
        }
        with self.locked(), (self.folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def calls(self, op: str = "", urn: str = "") -> list[dict[str, Any]]:
        """The finished calls so far, filtered by operation and by a regular expression on the URN."""
        return [call for call in self._calls() if not call["began"] and _fits(call, op, urn)]

    def begun_calls(self, op: str = "", urn: str = "") -> list[dict[str, Any]]:
        """The calls that were begun, finished or not: what a test waits on before it kills somebody."""
        return [call for call in self._calls() if call["began"] and _fits(call, op, urn)]

    def _calls(self) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        with self.locked():
            return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # -- files --------------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process and thread away from the folder's files; not to be entered twice by one caller."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self, name: str, default: Any) -> Any:
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else default

    def _write(self, name: str, data: Any) -> None:
        path = self.folder / name
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(data, indent=1, sort_keys=True))
        new.rename(path)


def _fits(call: dict[str, Any], op: str, urn: str) -> bool:
    return (not op or call["op"] == op) and bool(re.search(urn, call["urn"]))
