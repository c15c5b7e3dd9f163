"""Stands in for Hetzner Cloud: names are unique, ids are numbers, a server is a rehearsed machine with a real sshd.

What it computes and refuses is what the API does where the stack can notice it: limits, taken names, places that do not
match, volumes that would shrink. The machine itself belongs to `infra.rehearsal.machines`.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import subprocess
from pathlib import Path
from typing import Any

from infra.rehearsal import machines
from infra.rehearsal.providers import server
from infra.rehearsal.providers.values import Checked, Existing, Problem, Properties, ProviderFailure, Request

_SERVER = "hcloud:index/server:Server"
_SSH_KEY = "hcloud:index/sshKey:SshKey"
_PRIMARY_IP = "hcloud:index/primaryIp:PrimaryIp"
_VOLUME = "hcloud:index/volume:Volume"
_ATTACHMENT = "hcloud:index/volumeAttachment:VolumeAttachment"
_UNIQUE = {
    _SERVER: "server",
    _SSH_KEY: "SSH key",
    _PRIMARY_IP: "primary IP",
    _VOLUME: "volume",
    "hcloud:index/firewall:Firewall": "firewall",
    "hcloud:index/network:Network": "network",
    "hcloud:index/placementGroup:PlacementGroup": "placement group",
}
_USER_DATA_BYTES = 32 * 1024
_IMAGE_BYTES = 4 * 1024**3  # of a rehearsed volume, whatever was rented: sparse, and above what services keep free


class StandIn(server.StandIn):
    """Hetzner Cloud, project of one token."""

    def check(self, request: Request) -> Checked:
        checked = super().check(request)
        inputs = dict(checked.inputs)
        if request.type in _UNIQUE and "name" not in inputs:
            inputs["name"] = request.old_inputs.get("name") or f"{request.name}-{secrets.token_hex(4)[:7]}"
        return Checked(inputs, [*checked.problems, *(Problem(reason) for reason in _refusals(request))])

    def create(self, request: Request) -> Existing:
        self._refuse_taken(request)
        made = super().create(request)
        if request.type == _ATTACHMENT:
            self._attach(request.inputs)
        return made

    def update(self, request: Request) -> Properties:
        if request.type == _VOLUME and request.inputs["size"] < request.old_inputs["size"]:
            raise ProviderFailure("a volume can only grow (invalid_input)")
        return super().update(request)

    def delete(self, request: Request) -> None:
        if request.type == _SERVER:
            machines.remove_machine(self.cloud.folder, request.old_outputs["name"])
        if request.type == _VOLUME:
            self._image(request.id).unlink(missing_ok=True)
        super().delete(request)

    def new_id(self, request: Request) -> str:
        return str(secrets.randbelow(900_000_000) + 100_000_000)

    def computed(self, request: Request, id_: str) -> Properties:
        match request.type:
            case "hcloud:index/server:Server":
                return self._start_server(request, id_)
            case "hcloud:index/sshKey:SshKey":
                return {"fingerprint": _fingerprint(request.inputs["publicKey"])}
            case "hcloud:index/primaryIp:PrimaryIp":
                return {"ipAddress": self._free_address(), "ipNetwork": "", "assigneeId": 0}
            case "hcloud:index/volume:Volume":
                self._make_image(id_, request.inputs.get("format", ""))
                return {"linuxDevice": f"/dev/disk/by-id/scsi-0HC_Volume_{id_}", "serverId": 0}
        return {}

    # -- what there is ------------------------------------------------------------------------------------------------

    def _refuse_taken(self, request: Request) -> None:
        kind = _UNIQUE.get(request.type)
        others = self.cloud.records(request.type) if kind else []
        if any(other.inputs.get("name") == request.inputs["name"] for other in others):
            raise ProviderFailure(f"{kind} name {request.inputs['name']} is already used (uniqueness_error)")
        if request.type == _SSH_KEY and any(
            _fingerprint(other.inputs["publicKey"]) == _fingerprint(request.inputs["publicKey"]) for other in others
        ):
            raise ProviderFailure("SSH key with the same fingerprint already exists (uniqueness_error)")

    def _start_server(self, request: Request, id_: str) -> Properties:
        inputs = request.inputs
        keys = [str(wanted) for wanted in inputs.get("sshKeys") or ()]
        known = self.cloud.records(_SSH_KEY)
        machine = machines.create_machine(
            self.cloud.folder,
            inputs["name"],
            authorized_keys=[key.inputs["publicKey"] for key in known if key.id in keys or key.inputs["name"] in keys],
            user_data=inputs.get("userData") or "",
            address=self._reserved_address(inputs),
        )
        return {
            "ipv4Address": machine.address,
            "ipv6Address": "",
            "ipv6Network": "",
            "status": "running",
            "primaryDiskSize": 160,
            "backupWindow": "",
        }

    def _reserved_address(self, inputs: Properties) -> str:
        """The address of the primary IP that the server is given, empty where it gets one of its own."""
        for net in inputs.get("publicNets") or ():
            if net.get("ipv4"):
                found = self.cloud.get(self.name, _PRIMARY_IP, str(net["ipv4"]))
                if found is None:
                    raise ProviderFailure("the primary IP of this server does not exist (not_found)")
                if found.inputs.get("location", inputs.get("location")) != inputs.get("location"):
                    raise ProviderFailure("the primary IP lies in another location than the server (invalid_input)")
                return str(found.outputs["ipAddress"])
        return ""

    def _free_address(self) -> str:
        taken = {record.outputs["ipAddress"] for record in self.cloud.records(_PRIMARY_IP)}
        while (address := machines.allocate_address(self.cloud.folder)) in taken:
            pass
        return address

    # -- volumes ------------------------------------------------------------------------------------------------------

    def _attach(self, inputs: Properties) -> None:
        volume = self.cloud.get(self.name, _VOLUME, str(inputs["volumeId"]))
        host = self.cloud.get(self.name, _SERVER, str(inputs["serverId"]))
        if volume is None or host is None:
            raise ProviderFailure("the volume or the server of this attachment does not exist (not_found)")
        if volume.inputs.get("location") != host.inputs.get("location"):
            raise ProviderFailure("the volume lies in another location than the server (invalid_input)")
        machine = machines.find_by_name(self.cloud.folder, host.inputs["name"])
        if machine is not None:
            machines.attach_device(machine, volume.outputs["linuxDevice"], self._image(volume.id))

    def _image(self, volume: str) -> Path:
        return self.cloud.folder / "volumes" / f"{volume}.img"

    def _make_image(self, volume: str, form: str) -> None:
        if not machines.real_machines():
            return
        image = self._image(volume)
        image.parent.mkdir(exist_ok=True)
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        if form:
            subprocess.run([f"mkfs.{form}", "-q", str(image)], check=True, capture_output=True, timeout=60)


def _refusals(request: Request) -> list[str]:
    inputs: dict[str, Any] = request.inputs
    found = []
    if request.type == _SERVER:
        if len(str(inputs.get("userData") or "").encode()) > _USER_DATA_BYTES:
            found.append('"userData" must not be longer than 32 KiB')
        if bool(inputs.get("deleteProtection")) != bool(inputs.get("rebuildProtection")):
            found.append('"rebuildProtection" must equal "deleteProtection"')
    if request.type == _VOLUME and isinstance(size := inputs.get("size"), int) and not 10 <= size <= 10_240:
        found.append('"size" must be between 10 and 10240')
    return found


def _fingerprint(public_key: str) -> str:
    """MD5 of the key's body as colon-separated pairs, as Hetzner shows it."""
    try:
        body = base64.b64decode(public_key.split()[1])
    except (IndexError, ValueError):
        raise ProviderFailure("the public key is not valid (invalid_input)") from None
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))
