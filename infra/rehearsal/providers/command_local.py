"""Commands on this machine, as `command:local:Command` runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.providers.values import Properties, ProviderFailure

INTERPRETER = ("/bin/sh", "-c")


def run_here(inputs: Properties, command: str, earlier: Mapping[str, Any], seconds: float) -> tuple[str, str]:
    """Run one command; gives stdout and stderr without their last newline. Raises ProviderFailure."""
    environment = os.environ | {name: str(value) for name, value in (inputs.get("environment") or {}).items()}
    if inputs.get("addPreviousOutputInEnv", True) and "stdout" in earlier:
        environment |= {
            "PULUMI_COMMAND_STDOUT": str(earlier["stdout"]),
            "PULUMI_COMMAND_STDERR": str(earlier["stderr"]),
        }
    try:
        done = subprocess.run(
            [*(inputs.get("interpreter") or INTERPRETER), command], cwd=inputs.get("dir"), env=environment,
            input=inputs.get("stdin") or "", capture_output=True, text=True, timeout=seconds or None, check=False,
        )  # fmt: skip
    except OSError as error:
        raise ProviderFailure(f"the command cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise ProviderFailure(f"the command did not end within {seconds:.0f} s") from None
    if done.returncode != 0:
        raise failed(done.returncode, command, done.stdout, done.stderr)
    return done.stdout.removesuffix("\n"), done.stderr.removesuffix("\n")


def failed(status: int, command: str, stdout: str, stderr: str) -> ProviderFailure:
    """The real provider's words: the command and all that it printed, not what it read."""
    return ProviderFailure(f"exit status {status}: running {_quoted(command)}:\n{stdout}{stderr}")


def _quoted(command: str) -> str:
    return '"' + command.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
