"""Run the stand-in beside a test or a rehearsal: a process of its own, gone with whoever started it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.rehearsal.providers.cloud import MACHINES_VARIABLE


class StandInFailed(RuntimeError):
    """The stand-in ended before it told its address."""


@contextmanager
def running(cloud: Path, *, port: int = 0, machines: bool = False) -> Iterator[str]:
    """The stand-in's base URL, for VERDA_BASE_URL. With `machines` each rented machine is a container."""
    environment = {**os.environ, MACHINES_VARIABLE: "real" if machines else "none"}
    command = [sys.executable, "-m", "infra.rehearsal.verda", "--cloud", str(cloud), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise StandInFailed("the stand-in for Verda did not start; its own words are above")
            yield address
        finally:
            process.terminate()
