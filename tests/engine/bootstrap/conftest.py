"""The machines, prepared once for all tests of the steps."""

from collections.abc import Iterator

import pytest

from tests.engine.bootstrap.room import Room, prepared_room


@pytest.fixture(scope="package")
def room(docker_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Both machines after the first run."""
    with prepared_room(tmp_path_factory.mktemp("bootstrap")) as prepared:
        yield prepared
