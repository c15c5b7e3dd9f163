"""Rehearsals for the tests: one in a folder of its own; skipped, with the reason, where no engine can be had."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.rehearsal import docker_engine, engine, machines, made_up
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.machine_host import MachineFailed
from infra.rehearsal.machine_image import ensure_images

SMALL = Path(__file__).with_name("small")


SECONDS = 1200
"""What a test of the engine may take on a machine that is busy with other things."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the engine's tests the time that a slow machine needs, and mark those that stand on a Docker engine.

    They build images: `make test-engine` runs them, `make test` does not.
    """
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.timeout(SECONDS))
        if "docker_here" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The engine's executable."""
    found = engine.existing()
    if found is None:  # building it takes longer than a test may
        pytest.skip("there is no Pulumi CLI here; `make engine` builds one where Go is installed")
    return found


@pytest.fixture(scope="session")
def docker_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Docker engine on this machine, with the images that rehearsals need."""
    with ExitStack() as stack:
        try:
            stack.enter_context(docker_engine.running_engine(tmp_path_factory.mktemp("docker")))
            ensure_images()
            machines.check_abilities(tmp_path_factory.mktemp("abilities"))
        except (docker_engine.DockerUnavailable, MachineFailed) as unavailable:
            pytest.skip(str(unavailable))
        except docker_engine.DockerFailed as failed:  # no package sources, for one
            pytest.skip(f"the images that rehearsals need cannot be made here: {failed.reason}")
        yield


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
