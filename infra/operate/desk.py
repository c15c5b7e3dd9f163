"""How a verb was called, and where its words go: answers to stdout, progress and questions to stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.operate.refusals import NotNow
from infra.operate.stack_file import StackFile
from infra.operate.summary import Summary, progress, rows
from infra.rehearsal.outcomes import Step

WIDTH = 200
"""Columns where nobody's terminal says how many there are, as in a log: then a table is not folded."""


def _console(*, stderr: bool) -> Console:
    width = None if sys.stdout.isatty() else WIDTH
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


answers = _console(stderr=False)
notes = _console(stderr=True)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The stack, and what the operator said beside the verb itself."""

    stack: str
    folder: Path
    dry_run: bool = False
    force: bool = False
    yes: bool = False
    as_json: bool = False

    @property
    def file(self) -> StackFile:
        """The stack's settings file."""
        return StackFile(self.folder, self.stack)

    @property
    def asks(self) -> bool:
        """Whether a person sits there who was not asked to be left alone."""
        return sys.stdin.isatty() and not self.yes

    def note(self, words: str) -> None:
        """A sentence beside the answer."""
        notes.print(Text(words))

    def show_step(self, step: Step) -> None:
        """A line of progress."""
        line = progress(step)
        if line is not None and not self.as_json:
            notes.print(line)

    def answer(self, words: str, data: Any) -> None:
        """The answer: as a sentence, or as JSON."""
        if self.as_json:
            answers.file.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        else:
            answers.print(Text(words))

    def table(self, columns: Sequence[str], lines: Iterable[Sequence[str | Text]]) -> None:
        """A table for people."""
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in line))
        answers.print(table)

    def show(self, summary: Summary, headline: str, extra: dict[str, Any] | None = None) -> None:
        """What an operation did or would do."""
        if self.as_json:
            self.answer("", {"stack": self.stack, "dry_run": self.dry_run, **summary.as_dict(), **(extra or {})})
            return
        if summary.changes:
            self.table(("what", "name", "is", "changes"), rows(summary.changes))
        answers.print(Text(headline))

    def agreed(self, question: str, answer: str = "yes", instead: str = "YES") -> None:
        """Go on only if the operator types `answer`; where nobody sits there, `instead` has to have said it.

        Raises:
            NotNow: somebody else than a person was asked, or the person said something else.
        """
        if self.yes and instead == "YES":
            return
        if not sys.stdin.isatty():
            said = f"{instead}={'1' if instead == 'YES' else answer}"
            raise NotNow(f"{question} Nobody is here to ask; look with DRY_RUN=1, or agree with {said}.")
        notes.print(Text(f"{question} Type {answer} to go on: "), end="")
        if sys.stdin.readline().strip() != answer:
            raise NotNow("Nothing was changed.")
