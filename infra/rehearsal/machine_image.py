"""The images a rehearsal needs beside the stack's own: the base made on the spot, the machine, and Redis.

Each is made once and kept; the machine's is tagged by what it is made of, so that a changed stand-in makes a new one.
`stand_in_for` says which of them takes the place of a registry's image.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from infra.rehearsal.docker_engine import client, docker, has_image, make_base
from infra.rehearsal.locks import exclusive

HERE = Path(__file__).parent
BASE = "comfyume-rehearsal-base"
MACHINE = "comfyume-rehearsal-machine"

REDIS_RECIPE = f"""FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends redis-server redis-tools && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 workshop && useradd --uid 10001 --gid 10001 --no-create-home workshop
RUN install -d -o 10001 -g 10001 /data
WORKDIR /data
CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]
"""
REDIS = f"comfyume-rehearsal-redis:{hashlib.sha256(REDIS_RECIPE.encode()).hexdigest()[:12]}"

STAND_INS = {"python": BASE, "debian": BASE, "redis": REDIS}
"""Repository of a registry -> the image made here that takes its place where the registry's is not on this machine."""


def stand_in_for(reference: str) -> str:
    """The image made here for `redis:7.2@sha256:...` and the like; empty when there is none."""
    repository = reference.split("@")[0].split(":")[0].removeprefix("docker.io/").removeprefix("library/")
    return STAND_INS.get(repository, "")


def ensure_images() -> None:
    """Make whatever is missing of BASE, REDIS and the machine; minutes the first time, nothing later.

    Needs the package sources of this machine. Raises DockerUnavailable or DockerFailed where that cannot be.
    """
    with exclusive("images"):
        _ensure_base()
        if not has_image(REDIS):
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "Dockerfile").write_text(REDIS_RECIPE)
                docker("build", "--network", "host", "--tag", REDIS, folder)
    ensure_machine_image()


def ensure_machine_image() -> str:
    """The machine's image, made when its recipe or a stand-in in it changed; gives its name with tag.

    Raises as `ensure_images` does.
    """
    name = f"{MACHINE}:{_content()}"
    with exclusive("images"):
        if not has_image(name):
            _ensure_base()
            _build_machine(name)
    return name


def _ensure_base() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_base(Path(folder), BASE)


def _build_machine(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "machine"
        shutil.copytree(HERE / "machine", context, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(shutil.which(client()) or client(), context / "docker")
        docker("build", "--network", "host", "--build-arg", f"BASE={BASE}", "--tag", name, str(context))


def _content() -> str:
    digest = hashlib.sha256()
    for path in sorted((HERE / "machine").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
