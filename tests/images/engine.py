"""The repository's images on a real Docker engine: builds, containers as the stack runs them."""

import json
import secrets
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from infra.rehearsal import docker_engine
from infra.rehearsal.machine_image import BASE

REPOSITORY = Path(__file__).parents[2]
PYTHON_IMAGE = "comfyume-test-python"

HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "512m")
"""Product requirement, section 8: read-only root, no capabilities, limits that are enforced."""


def docker(*arguments: str, limit: float = 900) -> str:
    """One docker command's output, run in the repository; the error names what docker said."""
    return docker_engine.docker(*arguments, limit=limit, folder=REPOSITORY)


def build(folder: str) -> str:
    """Build one image of the repository; gives its name."""
    name = f"comfyume-test-{folder.replace('_', '-')}"
    argument = f"BASE={BASE}" if folder in ("python", "nginx") else f"PYTHON_IMAGE={PYTHON_IMAGE}"
    recipe = f"images/{folder}/Dockerfile"
    docker("build", "--network", "host", "--build-arg", argument, "--tag", name, "--file", recipe, ".")
    return name


def build_redis() -> str:
    """Debian's Redis on the same base, standing in for the registry's image."""
    name = "comfyume-test-redis"
    recipe = f"FROM {BASE}\nRUN apt-get update && apt-get install -y --no-install-recommends redis-server\nUSER redis\n"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(recipe)
        docker("build", "--network", "host", "--tag", name, folder)
    return name


class Network:
    """A network of the containers' own, where they find each other by name."""

    def __init__(self) -> None:
        self.name = f"comfyume-test-{secrets.token_hex(4)}"

    def __enter__(self) -> "Network":
        docker("network", "create", self.name)
        return self

    def __exit__(self, *_: object) -> None:
        docker("network", "rm", self.name)


class Container:
    """One container as the stack runs it; removed at the end."""

    def __init__(
        self, image: str, *, network: Network, name: str, environment: dict[str, str], mounts: dict[Path, str],
        command: tuple[str, ...] = (), limits: tuple[str, ...] = HARDENED,
    ) -> None:  # fmt: skip
        options = [f"--env={name}={value}" for name, value in environment.items()]
        options += [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
        tmpfs = (
            "--tmpfs",
            "/data:uid=10001,gid=10001",
            "--tmpfs",
            "/run/comfyume:uid=10001,gid=10001",
            "--tmpfs",
            "/tmp",
        )
        place = ("--network", network.name, "--network-alias", name)
        self.id = docker("run", "--detach", *place, *limits, *tmpfs, *options, image, *command)

    @property
    def state(self) -> dict[str, Any]:
        """Docker's own view of the container."""
        state: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", self.id))
        return state

    @property
    def address(self) -> str:
        """Where this machine reaches it; may be another one after a restart."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "--format", form, self.id)

    def is_healthy(self) -> bool:
        """Whether the image's own health check passed; raises when the container ended."""
        state = self.state
        assert state["Running"], f"the container ended: {self.logs()}"
        return bool(state["Health"]["Status"] == "healthy")

    def logs(self) -> str:
        """What the container printed so far."""
        done = subprocess.run(
            [docker_engine.client(), "logs", self.id], capture_output=True, text=True, timeout=60, check=False
        )
        return (done.stdout + done.stderr)[-4000:]

    def run(self, *command: str) -> str:
        """A command inside the container."""
        return docker("exec", self.id, *command)

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", "--volumes", self.id)
