"""The repository's own program and stack files under the real engine, without machines: graphs, not containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.workshop import rehearsed_workshop


@pytest.fixture(scope="package")
def deployed(pulumi_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Staging, deployed once. A test that changes settings puts them back with another `up`."""
    with rehearsed_workshop(tmp_path_factory.mktemp("staging")) as rehearsal:
        rehearsal.up()
        yield rehearsal


@pytest.fixture
def fresh(pulumi_cli: Path, tmp_path: Path) -> Iterator[Rehearsal]:
    """Staging, never deployed."""
    with rehearsed_workshop(tmp_path) as rehearsal:
        yield rehearsal
