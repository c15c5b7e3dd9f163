"""Stands in for pulumi-docker 5.2: the program's containers really run, on this machine's engine.

Every rehearsed machine shares that one engine (`docker_host.py`), so container names must differ per host, and an image
that two hosts build is built once. What the real provider does not do is not done here either: it records a changed
health check without applying it, calls a container well at the `up` after its failed start, removes a stopped container
when refreshing, never looks whether a built image still exists.

With COMFYUME_REHEARSAL_MACHINES=none everything is only recorded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any, Protocol

from infra.rehearsal import machines
from infra.rehearsal.providers import server
from infra.rehearsal.providers.cloud import Cloud, Record
from infra.rehearsal.providers.docker_container import Containers
from infra.rehearsal.providers.docker_host import Host
from infra.rehearsal.providers.docker_image import IMAGE, Images, RemoteImages, context_digest
from infra.rehearsal.providers.docker_parts import Networks, Volumes
from infra.rehearsal.providers.values import (
    UNKNOWN,
    Checked,
    Difference,
    Existing,
    Problem,
    Properties,
    ProviderFailure,
    Request,
)

_SETS = frozenset({
    "envs", "labels", "mounts", "networksAdvanced", "volumes", "uploads", "securityOpts", "groupAdds", "devices",
    "hosts", "ulimits", "dns", "dnsOpts", "dnsSearches", "ipamConfigs",
})  # fmt: skip
"""Lists whose order the real provider does not look at."""


class _Kind(Protocol):
    """One type of resource on an engine."""

    def create(self, host: Host, request: Request) -> Existing: ...
    def read(self, host: Host, request: Request) -> Existing | None: ...
    def update(self, host: Host, request: Request) -> Properties: ...
    def delete(self, host: Host, request: Request) -> None: ...


class StandIn(server.StandIn):
    """The engine of the host that the program's provider names, or this machine's own where it names none."""

    _kinds: dict[str, _Kind] = {  # noqa: RUF012  one table for all objects
        "docker:index/container:Container": Containers(),
        "docker:index/image:Image": Images(),
        "docker:index/network:Network": Networks(),
        "docker:index/remoteImage:RemoteImage": RemoteImages(),
        "docker:index/volume:Volume": Volumes(),
    }

    def __init__(self, package: str, cloud: Cloud) -> None:
        super().__init__(package, cloud)
        self.host = Host(cloud, {})

    def configure(self, configuration: Properties) -> None:
        super().configure(configuration)
        self.host = Host(self.cloud, configuration)

    def check(self, request: Request) -> Checked:
        """Besides the types: the program's files are hashed, as the real provider does it, so that an edit shows."""
        checked = super().check(request)
        build = checked.inputs.get("build")
        if checked.problems or request.type != IMAGE or not isinstance(build, dict):
            return checked
        try:
            digest = context_digest(build)
        except OSError as error:
            return Checked(checked.inputs, [Problem(f'"build": {error.strerror}: {error.filename}')])
        return Checked({**checked.inputs, "build": {**build, "contextDigest": digest}})

    def diff(self, request: Request) -> Difference:
        """Without regard to the order of what the real provider keeps as sets."""
        return super().diff(replace(request, inputs=_sorted(request.inputs), old_inputs=_sorted(request.old_inputs)))

    def preview_update(self, request: Request) -> Properties:
        """An image that will be built anew has another digest."""
        outputs = super().preview_update(request)
        return {**outputs, "repoDigest": UNKNOWN} if request.type == IMAGE else outputs

    def create(self, request: Request) -> Existing:
        if not machines.real_machines():
            return super().create(request)
        made = self._kind(request).create(self.host, request)
        self._note(request, made.id, made.outputs)
        return made

    def read(self, request: Request) -> Existing | None:
        if not machines.real_machines():
            return super().read(request)
        return self._kind(request).read(self.host, request)

    def update(self, request: Request) -> Properties:
        if not machines.real_machines():
            return super().update(request)
        outputs = self._kind(request).update(self.host, request)
        self._note(request, request.id, outputs)
        return outputs

    def delete(self, request: Request) -> None:
        if machines.real_machines():
            self._kind(request).delete(self.host, request)
        super().delete(request)

    def computed(self, request: Request, id_: str) -> Properties:
        """What is recorded where nothing is real."""
        if request.type == IMAGE:
            return {"baseImageName": request.inputs["imageName"], **self.changed(request)}
        if request.type == "docker:index/remoteImage:RemoteImage":
            return {"imageId": f"sha256:{id_}{id_}", "repoDigest": request.inputs["name"]}
        return {"name": request.inputs.get("name") or f"{request.name}-{id_[:7]}"}

    def changed(self, request: Request) -> Properties:
        """An image that is only recorded has a digest of its inputs."""
        if request.type != IMAGE:
            return {}
        return {"repoDigest": f"sha256:{hashlib.sha256(_key(request.inputs).encode()).hexdigest()}"}

    def _kind(self, request: Request) -> _Kind:
        try:
            return self._kinds[request.type]
        except KeyError:
            raise ProviderFailure(f"the stand-in for docker cannot make a {request.type} yet") from None

    def _note(self, request: Request, id_: str, outputs: Properties) -> None:
        inputs, seen = _without(request.inputs, request.secret_inputs), _without(outputs, request.secret_inputs)
        self.cloud.put(Record(self.name, request.type, id_, request.name, inputs, seen))


def _without(properties: Properties, hidden: frozenset[str]) -> Properties:
    return {key: value for key, value in properties.items() if key not in hidden}


def _sorted(inputs: Properties) -> Properties:
    return {
        name: sorted(value, key=_key) if name in _SETS and isinstance(value, list) else value
        for name, value in inputs.items()
    }


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
