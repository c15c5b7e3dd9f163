"""An operator at the command line: the verbs as `make` calls them, over a rehearsal with the small program."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ruamel.yaml import YAML

from infra.operate.__main__ import main
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.workshop import fill_in

PROGRAM = Path(__file__).with_name("operated") / "__main__.py"


@dataclass(frozen=True)
class Said:
    """How a verb ended and what it said."""

    status: int
    answer: str
    notes: str

    @property
    def text(self) -> str:
        return self.answer + self.notes

    @property
    def json(self) -> Any:
        return json.loads(self.answer)

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What was or would be done, by name; from `--json`."""
        return [(change["op"], change["name"]) for change in self.json["changes"]]


class Operator:
    """Types verbs; nobody sits at the terminal, so questions are refused unless `--yes` answers them.

    In this process, because a Python that starts and imports all SDKs for each verb takes most of the time.
    """

    def __init__(self, folder: Path) -> None:
        self.rehearsal = Rehearsal(folder)
        fill_in(self.rehearsal, "staging.workshop.example.org")
        self.project = self.rehearsal.folder / "project"
        self.file = self.rehearsal.settings.path
        shutil.copyfile(PROGRAM, self.project / "__main__.py")

    def types(self, *words: str, expect: int = 0, stack: str = "staging") -> Said:
        """What `python -m infra.operate --stack staging <words>` says; the exit code has to be `expect`."""
        answer, notes = io.StringIO(), io.StringIO()
        command = ["operate", "--stack", stack, "--folder", str(self.project), *words]
        with (
            mock.patch.dict(os.environ, self.rehearsal.environment),
            mock.patch.object(sys, "argv", command),
            mock.patch.object(sys, "stdin", io.StringIO()),
            contextlib.redirect_stdout(answer),
            contextlib.redirect_stderr(notes),
            pytest.raises(SystemExit) as left,
        ):
            main()
        said = Said(int(left.value.code or 0), answer.getvalue(), notes.getvalue())
        assert said.status == expect, f"{' '.join(words)} ended with {said.status}:\n{said.text}"
        assert self.rehearsal.found_canaries([said.text]) == []
        assert "Traceback" not in said.text
        return said

    def settings(self) -> Any:
        """The whole stack file, secrets encrypted."""
        return YAML(typ="safe").load(self.file)

    def people(self) -> set[str]:
        """The names that the state has a password for."""
        found = self.rehearsal.resources("random:index/randomPassword:RandomPassword")
        names = {str(entry["urn"]).rpartition("::")[2] for entry in found}
        return {name.removeprefix("password-") for name in names if name.startswith("password-")}
