"""Waiting for the first boot: what a finished, a grumbling and a failed cloud-init mean."""

import subprocess
from pathlib import Path

import pytest

from infra.remote.ensure import ensure_first_boot_done


@pytest.mark.parametrize(("status", "said"), [(0, "first-boot: unchanged\n"), (2, "first-boot: unchanged\n"), (1, "")])
def test_only_a_failed_first_boot_stops_the_steps(status: int, said: str, tmp_path: Path) -> None:
    stand_in = tmp_path / "cloud-init"
    stand_in.write_text(f"#!/bin/sh\n[ \"$*\" = 'status --wait' ] && exit {status}\n")
    stand_in.chmod(0o755)

    done = subprocess.run(
        ["sh", "-c", ensure_first_boot_done().shell], env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.stdout == said
    assert ("cloud-init failed" in done.stderr) == (status == 1)
