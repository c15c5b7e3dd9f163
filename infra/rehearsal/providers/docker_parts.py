"""Networks and volumes of a rehearsed host. Everything about them is fixed when they are made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from infra.rehearsal.machine_container import LABEL_CLOUD
from infra.rehearsal.providers.docker_host import Host, refusal
from infra.rehearsal.providers.docker_options import labels
from infra.rehearsal.providers.values import Existing, Properties, ProviderFailure, Request

IN_USE_SECONDS = 30.0
"""How long a removal waits for the last container to go."""


class Networks:
    """`docker:index/network:Network`."""

    def create(self, host: Host, request: Request) -> Existing:
        """Refused when the name is taken, unless by a rehearsal whose folder is gone."""
        inputs, api = request.inputs, host.api
        name = inputs.get("name") or f"{request.name}-{secrets.token_hex(4)[:7]}"
        for known in api.networks(names=[name]):
            if known["Name"] != name:
                continue
            if not _is_left_over(known.get("Labels")):
                raise ProviderFailure(f"Error response from daemon: network with name {name} already exists")
            api.remove_network(known["Id"])
        try:
            made = api.create_network(
                name, driver=inputs.get("driver") or "bridge", options=inputs.get("options"), check_duplicate=True,
                internal=bool(inputs.get("internal")), attachable=inputs.get("attachable"), ipam=_ipam(inputs),
                labels={**labels(inputs.get("labels")), **host.labels},
            )  # fmt: skip
        except APIError as error:
            raise refusal(error) from error
        return Existing(made["Id"], {**inputs, "name": name, "scope": "local"}, inputs)

    def read(self, host: Host, request: Request) -> Existing | None:
        """Whether it is still there."""
        try:
            seen = host.api.inspect_network(request.id)
        except APIError as error:
            if error.status_code == 404:
                return None
            raise refusal(error) from error
        inputs = request.old_inputs or {"name": seen["Name"]}
        internal = {"internal": seen["Internal"]} if "internal" in inputs else {}
        return Existing(seen["Id"], {**request.old_outputs, **inputs, **internal}, {**inputs, **internal})

    def update(self, host: Host, request: Request) -> Properties:
        """Nothing of a network can be changed."""
        return {**request.old_outputs, **request.inputs}

    def delete(self, host: Host, request: Request) -> None:
        """Wait for the last container to leave it."""
        _patiently(lambda: host.api.remove_network(request.id))


class Volumes:
    """`docker:index/volume:Volume`; its id is its name."""

    def create(self, host: Host, request: Request) -> Existing:
        """A volume of that name that is there already is taken over, as Docker does it."""
        inputs = request.inputs
        name = inputs.get("name") or f"{request.name}-{secrets.token_hex(4)[:7]}"
        try:
            made = host.api.create_volume(
                name, driver=inputs.get("driver") or "local", driver_opts=inputs.get("driverOpts"),
                labels={**labels(inputs.get("labels")), **host.labels},
            )  # fmt: skip
        except APIError as error:
            raise refusal(error) from error
        return Existing(name, {**inputs, "name": name, "mountpoint": made["Mountpoint"]}, inputs)

    def read(self, host: Host, request: Request) -> Existing | None:
        """Whether it is still there."""
        try:
            seen = host.api.inspect_volume(request.id)
        except APIError as error:
            if error.status_code == 404:
                return None
            raise refusal(error) from error
        inputs = request.old_inputs or {"name": seen["Name"]}
        return Existing(request.id, {**request.old_outputs, **inputs, "mountpoint": seen["Mountpoint"]}, inputs)

    def update(self, host: Host, request: Request) -> Properties:
        """Nothing of a volume can be changed."""
        return {**request.old_outputs, **request.inputs}

    def delete(self, host: Host, request: Request) -> None:
        """Wait for the last container that uses it."""
        _patiently(lambda: host.api.remove_volume(request.id))


def _patiently(remove: Callable[[], object]) -> None:
    end = time.monotonic() + IN_USE_SECONDS
    while True:
        try:
            remove()
        except APIError as error:
            if error.status_code == 404:
                return
            in_use = error.status_code == 409 or "active endpoints" in str(error.explanation)
            if not in_use or time.monotonic() > end:
                raise refusal(error) from error
            time.sleep(0.2)
        else:
            return


def _ipam(inputs: Properties) -> IPAMConfig | None:
    pools = [
        IPAMPool(subnet=entry.get("subnet"), iprange=entry.get("ipRange"), gateway=entry.get("gateway"))
        for entry in inputs.get("ipamConfigs") or []
    ]
    return IPAMConfig(pool_configs=pools) if pools else None


def _is_left_over(known: dict[str, str] | None) -> bool:
    cloud = (known or {}).get(LABEL_CLOUD)
    return bool(cloud) and not Path(str(cloud)).exists()
