"""One rehearsed Verda for all tests of this folder; every test starts without ordered faults and with its own names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.verda_room import VerdaRoom, open_room


@pytest.fixture(scope="session")
def verda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerdaRoom]:
    with open_room(tmp_path_factory.mktemp("verda")) as room:
        yield room


@pytest.fixture
def room(verda: VerdaRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VerdaRoom:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    verda.fail()
    return verda
