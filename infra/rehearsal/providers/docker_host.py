"""Which engine a program's Docker provider speaks to in a rehearsal, and what differs there from the host it names.

`ssh://root@ADDRESS` leads to the rehearsed machine of that address: one real SSH session proves that the program's key,
host key and the machine's docker would do, then everything goes to this machine's engine. Folders of the machine are
found where the cloud keeps them; ports that a machine would offer to everybody appear on 127.0.0.1.
"""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, DockerException

from infra.rehearsal import machine_container, machines
from infra.rehearsal.machine_image import stand_in_for
from infra.rehearsal.ports import free_port, is_free
from infra.rehearsal.providers.cloud import Cloud
from infra.rehearsal.providers.values import Properties, ProviderFailure

PORTS = "published_ports"
_SSH_SECONDS = 180
_TO_EVERYBODY = ("", "0.0.0.0", "::", "127.0.0.1", "localhost")


class Host:
    """One provider's host. Methods may be called from several threads."""

    def __init__(self, cloud: Cloud, configuration: Properties) -> None:
        self.cloud = cloud
        self._address = str(configuration.get("host") or "")
        self._options = [str(option) for option in configuration.get("sshOpts") or []]
        self._lock = threading.Lock()
        self._reached = False

    @property
    def api(self) -> docker.APIClient:
        """The engine, once the machine was reached. Raises ProviderFailure with one line."""
        with self._lock:
            if not self._reached:
                self._reach()
                self._reached = True
        try:
            return docker.APIClient(version="auto", timeout=600)
        except DockerException as error:
            raise ProviderFailure("no Docker engine answers on this machine") from error

    @property
    def labels(self) -> dict[str, str]:
        """Put on everything that is made here: which rehearsal it belongs to."""
        return {machine_container.LABEL_CLOUD: str(self.cloud.folder)}

    def path(self, source: str) -> str:
        """A bind mount's source: where the machine's folder lies on this machine."""
        machine = self._machine()
        if machine is None:
            return source
        outside = machine.outside(source)
        if outside is None:
            raise ProviderFailure(f"{source} is no folder that a rehearsed machine shares with its containers")
        if not outside.exists():
            raise ProviderFailure(f"invalid mount config for type bind: bind source path does not exist: {source}")
        return str(outside)

    def publish(self, container: str, port: int, address: str, wanted: int) -> tuple[str, int]:
        """Where a container's port is published on this machine: an address and a port, the same every time."""
        machine = self._machine()
        if machine is None or address not in (*_TO_EVERYBODY, machine.address):
            return address or "0.0.0.0", wanted
        with self.cloud.data() as data:
            ports = data.setdefault(PORTS, {}).setdefault(container, {})
            key = str(wanted or port)
            if key not in ports or not is_free(ports[key]):
                ports[key] = free_port()
            return "127.0.0.1", int(ports[key])

    def image(self, reference: str) -> str:
        """The image on this machine that takes the place of the one asked for."""
        if has_image(self.api, reference):
            return reference
        return stand_in_for(reference) or reference

    def _machine(self) -> machines.Machine | None:
        if not self._address.startswith("ssh://"):
            return None
        address = urlsplit(self._address).hostname or ""
        machine = machines.find_machine(self.cloud.folder, address)
        if machine is None:
            raise ProviderFailure(f"ssh: connect to host {address} port 22: No route to host")
        return machine

    def _reach(self) -> None:
        machine = self._machine()
        if machine is None:
            return
        url = urlsplit(self._address)
        user = url.username or "root"
        command = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", *self._options]
        command += ["-p", str(url.port or 22), "--", f"{user}@{machine.address}", "docker version --format ok"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SSH_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise ProviderFailure(f"ssh: connect to host {machine.address} port 22: timed out") from None
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
            raise ProviderFailure(f"the engine of {machine.address} cannot be reached over ssh: {said[-1][:300]}")


def has_image(api: docker.APIClient, reference: str) -> bool:
    """Whether the engine has this image."""
    return inspected(api, reference) is not None


def inspected(api: docker.APIClient, reference: str) -> dict[str, Any] | None:
    """What the engine knows about an image, or None."""
    try:
        return dict(api.inspect_image(reference))  # type: ignore[no-untyped-call]
    except APIError as error:
        if error.status_code == 404:
            return None
        raise refusal(error) from error


def published_port(cloud: Path, container: str, port: int) -> int:
    """The port on 127.0.0.1 behind which the container's port `port` (as the program publishes it) is found.

    Raises KeyError when the container publishes no such port.
    """
    with Cloud(cloud).data() as data:
        return int(data.get(PORTS, {})[container][str(port)])


def refusal(error: APIError) -> ProviderFailure:
    """The engine's own words, as the real provider passes them on."""
    return ProviderFailure(f"Error response from daemon: {str(error.explanation or error)[:500]}")
