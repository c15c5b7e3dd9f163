"""Type at a rehearsal what a person types: the real `pulumi` command in the scratch project of a `Rehearsal`.

Slower than the Automation API (a language host and a program process each time), and the way that users go.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.providers.install import write_launcher
from infra.repository import REPOSITORY

_SECONDS = 600
_QUIET = ("--non-interactive", "--color", "never")


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed, stdout and stderr together."""

    status: int
    text: str


class CommandLine:
    """`pulumi` over a rehearsal's settings, state and cloud."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.project = rehearsal.folder / "project"
        host = rehearsal.folder / "home" / "plugins" / "language-python-v1.0.0"
        host.mkdir(parents=True, exist_ok=True)
        write_launcher(host / "pulumi-language-python", "infra.rehearsal.language")
        program = rehearsal.source / "__main__.py"
        (self.project / "__main__.py").write_text(
            f"import runpy, sys\n\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
            f"runpy.run_path({str(program)!r}, run_name='__main__')\n"
        )

    def run(self, words: str) -> Said:
        """`run("up --yes")`; the stack is chosen already."""
        executable = self.rehearsal.folder / "home" / "bin" / "pulumi"
        done = subprocess.run(
            [executable, *shlex.split(words), *_QUIET],
            cwd=self.project,
            env={**os.environ, **self.rehearsal.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Said(done.returncode, done.stdout)
