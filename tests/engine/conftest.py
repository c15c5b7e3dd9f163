"""Rehearsals for the tests: one in a folder of its own; skipped, with the reason, where no engine can be had."""

from pathlib import Path

import pytest

from infra.rehearsal import engine, made_up
from infra.rehearsal.automation import Rehearsal

SMALL = Path(__file__).with_name("small")


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The engine's executable."""
    try:
        return engine.ensure()
    except engine.EngineMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def small(pulumi_cli: Path, tmp_path: Path) -> Rehearsal:
    """The small program, never deployed yet."""
    return small_rehearsal(tmp_path)


def small_rehearsal(folder: Path) -> Rehearsal:
    """The small program in a folder, with made-up secrets."""
    rehearsal = Rehearsal(folder, source=SMALL)
    rehearsal.set_secret("comfyume:token", made_up.token("hcloud-"))
    rehearsal.with_setting("comfyume:public_key", made_up.ssh_keys().public)
    return rehearsal
