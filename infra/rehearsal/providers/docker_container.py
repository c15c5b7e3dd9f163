"""Containers of a rehearsed host: made, awaited until healthy, changed in place where Docker can, removed."""

from __future__ import annotations

import base64
import io
import secrets
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError
from docker.types import Mount

from infra.rehearsal.machine_container import LABEL_CLOUD
from infra.rehearsal.providers.docker_host import Host, refusal
from infra.rehearsal.providers.docker_options import container_options, host_options, mount, update_options
from infra.rehearsal.providers.values import Existing, PartialFailure, Properties, ProviderFailure, Request

WAIT_SECONDS = 60
"""The real provider's default of `wait_timeout`."""

_CONFLICT = 409


class Containers:
    """`docker:index/container:Container`."""

    def create(self, host: Host, request: Request) -> Existing:
        """Create, put files in, connect, start, wait. What fails after the creation leaves it in the state."""
        inputs, api = request.inputs, host.api
        name = inputs.get("name") or f"{request.name}-{secrets.token_hex(4)[:7]}"
        id_ = self._made(host, api, name, inputs)
        try:
            for upload in inputs.get("uploads") or []:
                api.put_archive(id_, "/", _archive(upload))
            for network in (inputs.get("networksAdvanced") or [])[1:]:
                _connect(api, id_, network)
            if inputs.get("start", True):
                api.start(id_)
                self._await(api, id_, name, inputs)
        except APIError as error:
            raise PartialFailure(str(refusal(error)), id_, _outputs(api, id_, name, inputs)) from error
        except ProviderFailure as failure:
            raise PartialFailure(str(failure), id_, _outputs(api, id_, name, inputs)) from failure
        return Existing(id_, _outputs(api, id_, name, inputs), inputs)

    def read(self, host: Host, request: Request) -> Existing | None:
        """What a refresh sees; a stopped one that must run is removed, so that the next `up` makes it anew."""
        api = host.api
        try:
            seen = api.inspect_container(request.id)
        except APIError as error:
            if error.status_code == 404:
                return None
            raise refusal(error) from error
        inputs = request.old_inputs or {"name": seen["Name"].strip("/"), "image": seen["Image"]}
        if not seen["State"]["Running"] and inputs.get("mustRun", True):
            self.delete(host, request)
            return None
        limits = seen["HostConfig"]
        changed = {"memory": limits["Memory"] // 2**20} if inputs.get("memory") else {}
        outputs = {**request.old_outputs, **_outputs(api, seen["Id"], seen["Name"].strip("/"), inputs), **changed}
        return Existing(seen["Id"], outputs, {**inputs, **changed})

    def update(self, host: Host, request: Request) -> Properties:
        """What Docker changes while it runs. Everything else is recorded only, a failed start included."""
        api, inputs = host.api, request.inputs
        changed = {name for name in inputs if inputs.get(name) != request.old_inputs.get(name)}
        limits = {"memory", "memorySwap", "memoryReservation", "cpuShares", "cpuSet", "restart", "maxRetryCount"}
        try:
            if changed & limits:
                api.update_container(request.id, **update_options(inputs))
            if "mustRun" in changed and inputs.get("mustRun"):
                api.start(request.id)
        except APIError as error:
            raise refusal(error) from error
        return _outputs(api, request.id, request.old_outputs["name"], inputs)

    def delete(self, host: Host, request: Request) -> None:
        """Stop within `destroyGraceSeconds` (unset: at once), then remove. One that is gone is fine."""
        api, inputs = host.api, request.old_inputs
        try:
            if grace := inputs.get("destroyGraceSeconds"):
                api.stop(request.id, timeout=int(grace))
            api.remove_container(request.id, force=True, v=inputs.get("removeVolumes", True))
        except APIError as error:
            if error.status_code not in (404, _CONFLICT):  # gone, or going
                raise refusal(error) from error

    def _made(self, host: Host, api: docker.APIClient, name: str, inputs: Properties) -> str:
        try:
            return self._create(host, api, name, inputs)
        except APIError as error:
            other = _rehearsal_of(api, name) if error.status_code == _CONFLICT else None
            if other is None or other == host.cloud.folder:
                raise refusal(error) from error
            if other.exists():
                raise ProviderFailure(
                    f"a container {name} runs for the rehearsal in {other}: end that one first"
                ) from error
            api.remove_container(name, force=True, v=True)
            return self._made(host, api, name, inputs)

    def _create(self, host: Host, api: docker.APIClient, name: str, inputs: Properties) -> str:
        has_nvidia = "nvidia" in (api.info().get("Runtimes") or {}) if inputs.get("gpus") else False
        if inputs.get("gpus") and not has_nvidia:
            print(f"rehearsal: {name} gets no GPU, because this machine's engine has none to give", file=sys.stderr)
        networks = inputs.get("networksAdvanced") or []
        mounts = [_mount(host, entry) for entry in inputs.get("mounts") or []]
        mounts += [_volume(host, entry) for entry in inputs.get("volumes") or []]
        config = api.create_host_config(
            **host_options(inputs, mounts, has_nvidia),
            port_bindings=_bindings(host, name, inputs),
            network_mode=inputs.get("networkMode") or (networks[0]["name"] if networks else None),
        )
        options = container_options(inputs)
        options["labels"] = {**options["labels"], **host.labels}
        made = api.create_container(
            host.image(inputs["image"]), name=name, host_config=config,
            networking_config=_first_network(api, networks), **options,
        )  # fmt: skip
        return str(made["Id"])

    def _await(self, api: docker.APIClient, id_: str, name: str, inputs: Properties) -> None:
        """Until healthy where the program waits for that, else until it is seen running."""
        seconds = float(inputs.get("waitTimeout") or WAIT_SECONDS)
        end = time.monotonic() + seconds
        while True:
            state = api.inspect_container(id_)["State"]
            if not state["Running"] and not state["Restarting"] and inputs.get("mustRun", True):
                raise ProviderFailure(f"the container {name} exited immediately with status {state['ExitCode']}")
            if not inputs.get("wait") or (state.get("Health") or {}).get("Status") == "healthy":
                return
            if time.monotonic() > end:
                raise ProviderFailure(f"the container {name} is not healthy after {seconds:.0f} s; see its log")
            time.sleep(0.1)


def _outputs(api: docker.APIClient, id_: str, name: str, inputs: Properties) -> Properties:
    """The inputs, and what the engine adds to them."""
    seen = api.inspect_container(id_)
    networks = seen["NetworkSettings"]["Networks"] or {}
    datas = [
        {
            "networkName": network,
            "ipAddress": entry["IPAddress"],
            "ipPrefixLength": entry["IPPrefixLen"],
            "gateway": entry["Gateway"],
            "macAddress": entry["MacAddress"],
        }
        for network, entry in sorted(networks.items())
    ]
    return {
        **inputs,
        "name": name,
        "hostname": seen["Config"]["Hostname"],
        "networkDatas": datas,
        "bridge": seen["NetworkSettings"].get("Bridge", ""),
        "exitCode": seen["State"]["ExitCode"],
    }


def _first_network(api: docker.APIClient, networks: list[Properties]) -> Any:
    if not networks:
        return None
    endpoint = api.create_endpoint_config(**_endpoint(networks[0]))
    return api.create_networking_config({networks[0]["name"]: endpoint})  # type: ignore[arg-type]  # a map by name


def _connect(api: docker.APIClient, id_: str, network: Properties) -> None:
    api.connect_container_to_network(id_, network["name"], **_endpoint(network))


def _endpoint(network: Properties) -> dict[str, Any]:
    return {"aliases": network.get("aliases") or None, "ipv4_address": network.get("ipv4Address")}


def _bindings(host: Host, name: str, inputs: Properties) -> dict[int | str, Any]:
    bindings: dict[int | str, Any] = {}
    for port in inputs.get("ports") or []:
        published = host.publish(name, port["internal"], port.get("ip") or "", port.get("external") or 0)
        bindings.setdefault(f"{port['internal']}/{port.get('protocol') or 'tcp'}", []).append(published)
    return bindings


def _mount(host: Host, entry: Properties) -> Mount:
    source = entry.get("source")
    return mount(entry, host.path(source) if entry["type"] == "bind" and source else source)


def _volume(host: Host, entry: Properties) -> Mount:
    source = host.path(entry["hostPath"]) if entry.get("hostPath") else entry.get("volumeName")
    kind = "bind" if entry.get("hostPath") else "volume"
    return mount({"target": entry["containerPath"], "type": kind, "readOnly": entry.get("readOnly")}, source)


def _archive(upload: Properties) -> bytes:
    if upload.get("source"):
        content = Path(upload["source"]).read_bytes()
    elif upload.get("contentBase64"):
        content = base64.b64decode(upload["contentBase64"])
    else:
        content = str(upload.get("content") or "").encode()
    entry = tarfile.TarInfo(upload["file"].lstrip("/"))
    entry.size = len(content)
    entry.mode = int(upload.get("permissions") or ("0744" if upload.get("executable") else "0644"), 8)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _rehearsal_of(api: docker.APIClient, name: str) -> Path | None:
    """The cloud's folder of the rehearsal that the container of that name belongs to."""
    cloud = (api.inspect_container(name)["Config"]["Labels"] or {}).get(LABEL_CLOUD)
    return Path(cloud) if cloud else None
