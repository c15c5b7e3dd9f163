"""The images as the stack runs them: unprivileged, read-only, nothing of the other services, healthy by themselves.

`make test-images` runs these on a real Docker engine; they are not part of `make test`.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from infra.rehearsal.docker_engine import DockerFailed, make_base, running_engine
from infra.rehearsal.machine_image import BASE
from services.auth.accounts import Accounts
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from services.local.front_door_config import render_front_door
from tests.images.engine import Container, Network, build, build_redis, docker
from tests.support.credentials import write_credentials
from tests.support.front_door import make_certificate
from tests.support.wait import wait_for

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

SERVICES = ("queue_manager", "worker", "frontend", "auth", "admin")
MOUNTED = ("credentials", "accounts", "token", "console-token", "nginx.conf", "door.crt", "door.key")
PEOPLE = {"anna": "participant", "gpu1": "worker", "otto": "operator"}
TOKENS = {name: f"cme_{name.ljust(43, '0')}" for name in PEOPLE}
DOOR_SECRET = "only-the-door-knows"
PASSWORD = "anna's own password"
SECRETS = {
    "QUEUE_REDIS_URL": "redis://redis:6379/0",
    "WORKER_TOKEN": TOKENS["gpu1"],
    "FRONTEND_DOOR_SECRET": DOOR_SECRET,
    "ADMIN_DOOR_SECRET": DOOR_SECRET,
}
"""As files in /run/secrets, as the stack gives them."""

ENVIRONMENTS = {
    "queue_manager": {"QUEUE_CREDENTIALS_DIR": "/etc/comfyume/credentials"},
    "auth": {"AUTH_QUEUE_URL": "http://queue-manager:8180", "AUTH_ACCOUNTS_DIR": "/etc/comfyume/accounts"},
    "worker": {
        "WORKER_NAME": "gpu1", "WORKER_QUEUE_URL": "http://queue-manager:8180", "WORKER_BACKEND": "rehearsal",
    },
    "frontend": {
        "FRONTEND_PARTICIPANT": "anna", "FRONTEND_QUEUE_URL": "http://queue-manager:8180",
        "FRONTEND_TOKEN_FILE": "/etc/comfyume/token",
    },
    "admin": {"ADMIN_QUEUE_URL": "http://queue-manager:8180", "ADMIN_TOKEN_FILE": "/etc/comfyume/console-token"},
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
    write_credentials(folder / "credentials", ((role, name, TOKENS[name]) for name, role in PEOPLE.items()))
    Accounts(folder / "accounts").add("anna", Role.PARTICIPANT, PASSWORD)
    (folder / "accounts").chmod(0o755)
    (folder / "accounts" / "anna.json").chmod(0o644)
    (folder / "token").write_text(TOKENS["anna"])
    (folder / "console-token").write_text(TOKENS["otto"])
    (folder / "secrets").mkdir()
    for name, value in SECRETS.items():
        (folder / "secrets" / name).write_text(value)
    _, key = make_certificate(folder)
    key.chmod(0o644)
    door = FrontDoor(
        http_port=8080, https_port=8443, certificate=Path("/etc/comfyume/door.crt"),
        certificate_key=Path("/etc/comfyume/door.key"), run_dir=Path("/run/comfyume"), auth="auth:8170",
        queue_manager="queue-manager:8180", workspaces=[WorkspaceAddress(name="anna", address="frontend:8188")],
        admin="admin:8160", door_secret=SecretStr(DOOR_SECRET), resolver="127.0.0.11",
    )  # fmt: skip
    (folder / "nginx.conf").write_text(render_front_door(door))
    mounts = {folder / name: f"/etc/comfyume/{name}" for name in MOUNTED} | {folder / "secrets": "/run/secrets"}
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
    wait_for(room[name].is_healthy, f"{name} to be healthy", limit=400)


@pytest.mark.parametrize("name", [*SERVICES, "nginx"])
def test_it_runs_unprivileged_on_a_read_only_root(room: dict[str, Container], name: str) -> None:
    assert room[name].run("id", "-u") == "10001"
    with pytest.raises(DockerFailed, match="Read-only file system"):
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


def test_no_secret_stands_in_a_command_line_or_in_what_docker_tells(room: dict[str, Container]) -> None:
    for container in room.values():
        processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        told = docker("inspect", container.id)
        for secret in (*TOKENS.values(), DOOR_SECRET):
            assert secret not in processes
            assert secret not in told
        assert container.state["Running"]


def test_the_front_door_follows_a_container_that_comes_back_at_another_address(room: dict[str, Container]) -> None:
    nginx, frontend = room["nginx"], room["frontend"]
    network = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", nginx.id))
    (name,) = network
    wait_for(frontend.is_healthy, "the web UI to be healthy", limit=400)
    door = httpx.Client(
        base_url=f"https://{network[name]['IPAddress']}:8443",
        verify=False,  # noqa: S501 - its certificate is for another address
        auth=("anna", PASSWORD),
        timeout=60,
    )
    with door:
        wait_for(lambda: door.get("/anna/").status_code == 200, "the workspace to open", limit=400)
        before = _address(frontend)
        docker("network", "disconnect", name, frontend.id)
        squatter = docker("run", "--detach", "--network", name, "--entrypoint", "sleep", "comfyume-test-redis", "600")
        try:
            docker("network", "connect", "--alias", "frontend", name, frontend.id)
            assert _address(frontend) != before
            wait_for(lambda: door.get("/anna/").status_code == 200, "the workspace to open again", limit=400)
        finally:
            docker("rm", "--force", squatter)


def _address(container: Container) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return docker("inspect", "--format", form, container.id)
