"""The images as the stack runs them: unprivileged, read-only, nothing of the other services, healthy by themselves.

`make test-images` runs these on a real Docker engine; they are not part of `make test`.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from infra.rehearsal.docker_engine import make_base, running_engine
from infra.rehearsal.machine_image import BASE
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.local.front_door_config import render_front_door
from tests.images.engine import Container, Network, build, build_redis, docker
from tests.support.front_door import make_certificate
from tests.support.wait import wait_for

pytestmark = pytest.mark.images

SERVICES = ("queue_manager", "worker", "frontend", "auth")
MOUNTED = ("credentials.json", "token", "nginx.conf", "door.crt", "door.key")
TOKENS = {name: f"cme_{name.ljust(43, '0')}" for name in ("anna", "gpu1")}

ENVIRONMENTS = {
    "queue_manager": {
        "QUEUE_REDIS_URL": "redis://redis:6379/0",
        "QUEUE_BOOTSTRAP_CREDENTIALS_FILE": "/etc/comfyume/credentials.json",
    },
    "auth": {"AUTH_QUEUE_URL": "http://queue-manager:8180"},
    "worker": {
        "WORKER_NAME": "gpu1", "WORKER_QUEUE_URL": "http://queue-manager:8180", "WORKER_TOKEN": TOKENS["gpu1"],
        "WORKER_BACKEND": "rehearsal",
    },
    "frontend": {
        "FRONTEND_PARTICIPANT": "anna", "FRONTEND_QUEUE_URL": "http://queue-manager:8180",
        "FRONTEND_TOKEN_FILE": "/etc/comfyume/token",
    },
    "nginx": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("engine")
    with running_engine(folder):
        make_base(folder, BASE)
        build("python")
        yield {name: build(name) for name in (*SERVICES, "nginx")}


@pytest.fixture(scope="module")
def room(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Container]]:
    """Every service in its container, wired as the stack wires them."""
    folder = tmp_path_factory.mktemp("room")
    folder.chmod(0o755)
    credentials = [
        {"role": "participant", "name": "anna", "token": TOKENS["anna"]},
        {"role": "worker", "name": "gpu1", "token": TOKENS["gpu1"]},
    ]
    (folder / "credentials.json").write_text(json.dumps(credentials))
    (folder / "token").write_text(TOKENS["anna"])
    _, key = make_certificate(folder)
    key.chmod(0o644)
    door = FrontDoor(
        http_port=8080, https_port=8443, certificate=Path("/etc/comfyume/door.crt"),
        certificate_key=Path("/etc/comfyume/door.key"), run_dir=Path("/run/comfyume"), auth="auth:8170",
        queue_manager="queue-manager:8180", workspaces=[WorkspaceAddress(name="anna", address="frontend:8188")],
        door_secret=SecretStr("door"),
    )  # fmt: skip
    (folder / "nginx.conf").write_text(render_front_door(door))
    mounts = {folder / name: f"/etc/comfyume/{name}" for name in MOUNTED}
    with Network() as network, ExitStack() as stack:
        redis = ("redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp")
        stack.enter_context(
            Container(build_redis(), network=network, name="redis", environment={}, mounts={}, command=redis)
        )
        yield {
            name: stack.enter_context(
                Container(
                    images[name], network=network, name=name.replace("_", "-"), environment=environment, mounts=mounts
                )
            )
            for name, environment in ENVIRONMENTS.items()
        }


@pytest.mark.parametrize("name", [*SERVICES, "nginx"])
def test_it_becomes_healthy_by_its_own_check(room: dict[str, Container], name: str) -> None:
    wait_for(room[name].is_healthy, f"{name} to be healthy", limit=120)


@pytest.mark.parametrize("name", [*SERVICES, "nginx"])
def test_it_runs_unprivileged_on_a_read_only_root(room: dict[str, Container], name: str) -> None:
    assert room[name].run("id", "-u") == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        room[name].run("touch", "/app-was-changed")


@pytest.mark.parametrize("name", SERVICES)
def test_it_holds_its_own_service_and_nothing_of_the_others(images: dict[str, str], name: str) -> None:
    listing = docker("run", "--rm", "--entrypoint", "ls", images[name], "/app", "/app/services").split()
    services = set(listing[listing.index("/app/services:") + 1 :]) - {"__pycache__"}
    assert services == {"__init__.py", "domain", "kit", name}
    assert set(listing[1 : listing.index("/app/services:")]) == {"services"}


def test_a_file_of_another_service_changes_no_digest(images: dict[str, str], tmp_path: Path) -> None:
    before = docker("inspect", "--format", "{{.Id}}", images["auth"])
    stray = Path(__file__).parents[2] / "services" / "worker" / "_stray_for_the_image_test.txt"
    stray.write_text("not for you")
    try:
        build("auth")
    finally:
        stray.unlink()
    assert docker("inspect", "--format", "{{.Id}}", images["auth"]) == before


def test_no_secret_stands_in_a_command_line(room: dict[str, Container]) -> None:
    for container in room.values():
        processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert TOKENS["anna"] not in processes
        assert container.state["Running"]
