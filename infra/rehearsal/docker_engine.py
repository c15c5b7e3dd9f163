"""This machine's Docker engine, and the images that stand in for those of the registries.

Finds or starts the engine, calls Docker's own client where BuildKit is needed, and makes a minimal Debian on the spot
from this machine's package sources. Which containers run on it is decided elsewhere. Used by rehearsals and tests only.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
START_SECONDS = 120.0


class DockerUnavailable(RuntimeError):
    """Docker cannot be used on this machine; the message says in one line why."""


class DockerFailed(RuntimeError):
    """A docker command failed; the message holds what docker said, `reason` its last line."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"{command}:\n{said}")
        self.reason = _last(said)


def client() -> str:
    """Debian's own client where there is one: it brings BuildKit, which honours an ignore file beside a Dockerfile."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def engine_answers() -> bool:
    """Whether a Docker engine answers."""
    try:
        return subprocess.run([client(), "info"], capture_output=True, timeout=60, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


@contextmanager
def running_engine(folder: Path) -> Iterator[None]:
    """The machine's Docker engine; where none runs, one is started and ended again. Raises DockerUnavailable."""
    if engine_answers():
        yield
        return
    process = _start(folder / "dockerd.log")
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _start(log: Path) -> subprocess.Popen[bytes]:
    program = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None or os.geteuid() != 0:
        raise DockerUnavailable(
            "no Docker engine runs here, and one can only be started by root with dockerd installed"
        )
    with log.open("ab") as stream:
        process = subprocess.Popen([program], stdout=stream, stderr=stream)
    end = time.monotonic() + START_SECONDS
    while not engine_answers():
        if process.poll() is not None or time.monotonic() > end:
            process.terminate()
            raise DockerUnavailable(f"dockerd does not start here: {_last(log.read_text(errors='replace'))}")
        time.sleep(0.1)
    return process


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it says nothing"


def docker(*arguments: str, limit: float = 900, folder: Path | None = None) -> str:
    """One docker command's output. Raises DockerFailed with what docker said; no argument may be secret."""
    done = subprocess.run(
        [client(), *arguments], cwd=folder, env=os.environ | {"DOCKER_BUILDKIT": "1"},
        capture_output=True, text=True, timeout=limit, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise DockerFailed(f"docker {' '.join(arguments)}", f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout.strip()


def has_image(name: str) -> bool:
    """Whether this machine's engine has an image of that name."""
    return bool(docker("images", "--quiet", name))


def make_base(folder: Path, name: str) -> None:
    """A minimal Debian with Python, from this machine's own package sources, standing in for the registries' images.

    `folder` is scratch. Does nothing when the image is there. Raises DockerUnavailable where it cannot be made.
    """
    if has_image(name):
        return
    root = folder / "root"
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise DockerUnavailable("debootstrap is missing: it makes the small Debian that rehearsed machines stand on")
    done = subprocess.run(
        [program, "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)],
        check=False, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    if done.returncode != 0:
        raise DockerUnavailable(f"debootstrap cannot make a Debian here: {_last(done.stdout + done.stderr)}")
    shutil.copy(f"/{CERTIFICATES}", root / CERTIFICATES)
    shutil.rmtree(root / "etc/apt")
    shutil.copytree("/etc/apt", root / "etc/apt", symlinks=True)
    archive = folder / "base.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True, timeout=300)
    docker("import", "--change", f"ENV PIP_CERT=/{CERTIFICATES}", str(archive), name)
