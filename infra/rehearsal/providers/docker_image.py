"""Images of a rehearsed host: built from this repository with BuildKit, or those made here instead of a registry's.

A build is skipped when an image of that name was made of the same context, arguments and base already: hosts share this
machine's engine, and a second rehearsal finds what the first one built.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.utils.build import exclude_paths

from infra.rehearsal.docker_engine import DockerFailed, DockerUnavailable, client
from infra.rehearsal.locks import exclusive
from infra.rehearsal.machine_image import ensure_images, stand_in_for
from infra.rehearsal.providers.docker_host import Host, has_image, inspected, refusal
from infra.rehearsal.providers.values import Existing, Properties, ProviderFailure, Request

IMAGE = "docker:index/image:Image"
LABEL = "comfyume.rehearsal.context"
BUILD_SECONDS = 1800


class Images:
    """`docker:index/image:Image`: always built again when its inputs changed; never looked at, never removed."""

    def create(self, host: Host, request: Request) -> Existing:
        """Build."""
        return Existing(request.inputs["imageName"], self._built(host, request.inputs), request.inputs)

    def read(self, host: Host, request: Request) -> Existing | None:
        """What the state holds, unlooked: the real provider does no more."""
        return Existing(request.id, request.old_outputs, request.old_inputs)

    def update(self, host: Host, request: Request) -> Properties:
        """Build again."""
        return self._built(host, request.inputs)

    def delete(self, host: Host, request: Request) -> None:
        """Nothing: the image stays on the host."""

    def _built(self, host: Host, inputs: Properties) -> Properties:
        build, name = inputs.get("build") or {}, str(inputs["imageName"])
        arguments = {key: self._base(host, str(value)) for key, value in (build.get("args") or {}).items()}
        content = self._content(host, build, arguments)
        with exclusive(f"image {name}"):
            seen = inspected(host.api, name)
            if seen is None or (seen["Config"].get("Labels") or {}).get(LABEL) != content:
                _build(name, build, arguments, content)
                seen = inspected(host.api, name)
        if seen is None:
            raise ProviderFailure(f"the image {name} was built, and is not there")
        return {
            **inputs,
            "repoDigest": seen["Id"],
            "baseImageName": name,
            "context": build.get("context"),
            "dockerfile": build.get("dockerfile"),
            "platform": build.get("platform"),
        }

    def _base(self, host: Host, value: str) -> str:
        """A build argument that names a registry's image: the one that takes its place here."""
        stand_in = stand_in_for(value)
        if not stand_in or has_image(host.api, value):
            return value
        _make_stand_ins()
        return stand_in

    def _content(self, host: Host, build: Properties, arguments: dict[str, str]) -> str:
        """What decides how the image turns out; of a base, its id."""
        bases = {key: (inspected(host.api, value) or {"Id": value})["Id"] for key, value in arguments.items()}
        parts = [build.get("contextDigest"), bases, build.get("target")]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class RemoteImages:
    """`docker:index/remoteImage:RemoteImage`: one that is here, else one made here in its place, else pulled."""

    def create(self, host: Host, request: Request) -> Existing:
        """Find or fetch it."""
        name = str(request.inputs["name"])
        if not has_image(host.api, name):
            if stand_in := stand_in_for(name):
                print(f"rehearsal: {stand_in}, made on this machine, stands in for {name}", file=sys.stderr)
                _make_stand_ins()
            else:
                self._pull(host, name)
        return self._existing(host, name, request.inputs)

    def read(self, host: Host, request: Request) -> Existing | None:
        """Whether it is still there."""
        name = str(request.old_outputs.get("name") or request.id)
        if inspected(host.api, host.image(name)) is None:
            return None
        return self._existing(host, name, request.old_inputs or {"name": name})

    def update(self, host: Host, request: Request) -> Properties:
        """Only what the next removal reads can change."""
        return self._existing(host, str(request.inputs["name"]), request.inputs).outputs

    def delete(self, host: Host, request: Request) -> None:
        """Remove it unless `keepLocally`; what was made here in a registry's place always stays."""
        name = str(request.old_inputs.get("name"))
        if request.old_inputs.get("keepLocally") or host.image(name) != name:
            return
        try:
            host.api.remove_image(name, force=bool(request.old_inputs.get("forceRemove")))
        except APIError as error:
            if error.status_code != 404:
                raise refusal(error) from error

    def _pull(self, host: Host, name: str) -> None:
        try:
            host.api.pull(name)
        except APIError as error:
            raise refusal(error) from error

    def _existing(self, host: Host, name: str, inputs: Properties) -> Existing:
        seen = inspected(host.api, host.image(name))
        if seen is None:
            raise ProviderFailure(f"Error response from daemon: No such image: {name}")
        return Existing(seen["Id"], {**inputs, "imageId": seen["Id"], "repoDigest": _digest(name, seen)}, inputs)


def _make_stand_ins() -> None:
    try:
        ensure_images()
    except (DockerFailed, DockerUnavailable) as error:
        raise ProviderFailure(f"the images of a rehearsal cannot be made: {getattr(error, 'reason', error)}") from error


def context_digest(build: Properties) -> str:
    """SHA-256 over path, mode and content of every file that the build sees; an ignore file beside the recipe wins.

    Raises OSError where the recipe or the context is missing.
    """
    recipe, context = recipe_of(build), Path(build.get("context") or ".")
    ignore = next(
        (file for file in (Path(f"{recipe}.dockerignore"), context / ".dockerignore") if file.is_file()), None
    )
    lines = ignore.read_text().splitlines() if ignore else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    digest = hashlib.sha256(recipe.read_bytes())
    for name in sorted(exclude_paths(str(context), patterns, dockerfile=os.path.relpath(recipe, context))):
        path = context / name
        if path.is_file() and not path.is_symlink():
            mode = path.stat().st_mode & 0o777
            digest.update(f"\0{name}\0{mode:o}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def recipe_of(build: Properties) -> Path:
    """The Dockerfile: as given, else in the context."""
    return Path(build.get("dockerfile") or Path(build.get("context") or ".") / "Dockerfile")


def _build(name: str, build: Properties, arguments: dict[str, str], content: str) -> None:
    """Docker's own client with BuildKit. The host's network unless the program says otherwise: it works everywhere.

    The platform is this machine's, whichever the program asks for: nothing here runs another one's programs.
    """
    command = [client(), "build", "--tag", name, "--label", f"{LABEL}={content}"]
    command += ["--network", build.get("network") or "host", "--file", str(recipe_of(build))]
    command += [word for key, value in sorted(arguments.items()) for word in ("--build-arg", f"{key}={value}")]
    command += ["--target", build["target"]] if build.get("target") else []
    done = subprocess.run(
        [*command, str(build.get("context") or ".")], env=os.environ | {"DOCKER_BUILDKIT": "1"},
        capture_output=True, text=True, timeout=BUILD_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ProviderFailure(f"the build of {name} failed: " + " | ".join(lines[-8:])[-1500:])


def _digest(name: str, seen: dict[str, Any]) -> str:
    """What containers are made of: the digest asked for, else the one the registry told, else the image's id."""
    if "@" in name:
        tag, digest = name.split("@")
        return f"{tag.rsplit(':', 1)[0] if ':' in tag.rsplit('/', 1)[-1] else tag}@{digest}"
    digests = seen.get("RepoDigests") or []
    return str(digests[0] if digests else seen["Id"])
