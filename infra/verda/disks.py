"""Volumes at Verda: made or adopted, shared with machines, and attached as scratch disks.

Deleting puts a volume into Verda's trash for 96 hours; an adopted one is let go and never deleted.
"""

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult
from verda.instances import Instance
from verda.volumes import Volume

from infra.verda import errors
from infra.verda.client.volumes import SHARED, is_attached
from infra.verda.provider import GONE, Props, VerdaProvider, known
from infra.verda.waiting import until

EXPORT_SECONDS = 120.0
"""How long a freshly shared file system may take until Verda knows its mount command."""


class VerdaVolumeProvider(VerdaProvider):
    """Grows and (block volumes only) is renamed in place; another type or place is another volume."""

    replaces = ("type", "location")

    def check(self, olds: Props, news: Props) -> CheckResult:
        failures = []
        size, former = news.get("size"), olds.get("size")
        if known(size) and known(former) and float(str(size)) < float(str(former)):
            failures.append(
                CheckFailure("size", f"a volume of {former:.0f} GB cannot shrink; keep the size or grow it")
            )
        renamed = known(news.get("name")) and olds.get("name") not in (None, news["name"])
        if renamed and olds.get("type") == news.get("type") == SHARED:
            failures.append(CheckFailure("name", "renaming a shared file system changes its mount path; keep its name"))
        return CheckResult(news, failures)

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        found = super().diff(id_, olds, news)
        replaces = list(found.replaces or [])
        if news.get("adopt_id") not in (None, id_):
            replaces.append("adopt_id")
        size = news.get("size")
        grows = known(size) and float(str(size)) > float(olds.get("size") or 0)
        return DiffResult(
            changes=bool(replaces) or grows or olds.get("name") != news.get("name"),
            replaces=replaces,
            delete_before_replace=False,
        )

    def make(self, props: Props) -> CreateResult:
        wanted = {"type_": props["type"], "size": int(props["size"]), "location": props["location"]}
        if props.get("adopt_id"):
            volume = self.api.volumes.take_over(self.api.volumes.need(props["adopt_id"]), **wanted)
        else:
            volume = self.api.volumes.ensure(name=props["name"], **wanted)
        return CreateResult(volume.id, {**props, **_seen(volume), "is_adopted": bool(props.get("adopt_id"))})

    def look(self, id_: str, props: Props) -> ReadResult:
        volume = self.api.volumes.get(id_)
        if volume is None:
            return GONE
        there = {**props, **_seen(volume), **({} if props.get("is_adopted") else {"name": volume.name})}
        inputs = {name: there.get(name) for name in ("name", "type", "size", "location", "adopt_id")}
        return ReadResult(id_, there, {name: value for name, value in inputs.items() if value is not None})

    def change(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        volume = self.api.volumes.need(id_)
        if volume.size < int(news["size"]):
            self.api.volumes.grow(id_, int(news["size"]))
        if volume.name != news["name"] and not olds.get("is_adopted"):
            self.api.volumes.rename(id_, news["name"])
        return UpdateResult({**olds, **news, **_seen(self.api.volumes.need(id_))})

    def unmake(self, id_: str, props: Props) -> None:
        if not props.get("is_adopted"):
            self.api.volumes.delete(id_)


def _seen(volume: Volume) -> Props:
    """What of it stays as it is; its status follows the machines and would show as drift after every `up`."""
    return {
        "size": volume.size,
        "pseudo_path": volume.pseudo_path or "",
        "monthly_price": volume.monthly_price or 0.0,
    }


class VerdaVolumeShareProvider(VerdaProvider):
    """The API's form of the console's share settings: without it a mount fails, also within one location."""

    replaces = ("volume_id", "instance_id")

    def make(self, props: Props) -> CreateResult:
        self.api.volumes.attach(props["volume_id"], props["instance_id"])
        volume = until(
            lambda: self._exported(props["volume_id"]),
            clock=self.api.clock,
            seconds=EXPORT_SECONDS,
            sentence="Verda shows no mount command for the shared file system; run the same command again.",
        )
        return CreateResult(f"{props['volume_id']}/{props['instance_id']}", {**props, **_mount(volume)})

    def _exported(self, volume_id: str) -> Volume | None:
        volume = self.api.volumes.need(volume_id)
        return volume if volume.mount_command else None

    def look(self, id_: str, props: Props) -> ReadResult:
        volume = self.api.volumes.get(props["volume_id"])
        if volume is None or not is_attached(volume, props["instance_id"]):
            return GONE
        return ReadResult(id_, {**props, **_mount(volume)})

    def unmake(self, id_: str, props: Props) -> None:
        if self.api.machines.get(props["instance_id"]) is not None:
            self.api.volumes.detach(props["volume_id"], props["instance_id"])


def _mount(volume: Volume) -> Props:
    return {
        "target": volume.target or "",
        "pseudo_path": volume.pseudo_path or "",
        "mount_command": volume.mount_command or "",
        "create_directory_command": volume.create_directory_command or "",
        "fstab_command": volume.filesystem_to_fstab_command or "",
    }


class VerdaScratchAttachmentProvider(VerdaProvider):
    """Shut down, attach, start: each step only where it is still missing, so that a broken run can go on.

    Only after provisioning: a volume that a machine is created with is wiped. Nothing is ever formatted here.
    """

    replaces = ("volume_id", "instance_id")

    def make(self, props: Props) -> CreateResult:
        machine = self._attached(props)
        volume = self.api.volumes.need(props["volume_id"])
        outs = {**props, "target": volume.target or "", "ip": machine.ip}
        return CreateResult(f"{props['volume_id']}/{props['instance_id']}", outs)

    def _attached(self, props: Props) -> Instance:
        volume_id, instance_id = props["volume_id"], props["instance_id"]
        seconds = float(props.get("timeout_seconds") or 0)
        volume = self.api.volumes.need(volume_id)
        if not is_attached(volume, instance_id):
            if volume.instance_id:
                raise errors.Ambiguous(
                    f"The scratch volume {volume.name!r} is attached to another machine; detach it in Verda's console."
                )
            self._switch_off(instance_id, seconds)
            self.api.volumes.attach(volume_id, instance_id, seconds)
        return self._switch_on(instance_id, seconds)

    def _switch_off(self, instance_id: str, seconds: float) -> None:
        machine = self.api.machines.get(instance_id)
        if machine is None or machine.status != "offline":
            self.api.machines.wait_for(instance_id, "running", seconds)
            self.api.machines.shut_down(instance_id)
            self.api.machines.wait_for(instance_id, "offline", seconds)

    def _switch_on(self, instance_id: str, seconds: float) -> Instance:
        machine = self.api.machines.get(instance_id)
        if machine is not None and machine.status == "offline":
            self.api.machines.start(instance_id)
        return self.api.machines.wait_for(instance_id, "running", seconds)

    def look(self, id_: str, props: Props) -> ReadResult:
        volume = self.api.volumes.get(props["volume_id"])
        if volume is None or not is_attached(volume, props["instance_id"]):
            return GONE
        return ReadResult(id_, {**props, "target": volume.target or ""})

    def unmake(self, id_: str, props: Props) -> None:
        """The machine goes on without its scratch disk; where the machine goes too, the engine skips this."""
        volume, machine = self.api.volumes.get(props["volume_id"]), self.api.machines.get(props["instance_id"])
        if volume is None or machine is None or not is_attached(volume, props["instance_id"]):
            return
        seconds = float(props.get("timeout_seconds") or 0)
        self._switch_off(machine.id, seconds)
        self.api.volumes.detach(volume.id, machine.id, seconds)
        self._switch_on(machine.id, seconds)


class VerdaVolume(Resource, module="verda", name="Volume"):
    """A volume: `type` "NVMe", "HDD" or "NVMe_Shared" (the shared file system), `size` in GB.

    `adopt_id` takes over a volume that exists instead of making one.
    """

    pseudo_path: pulumi.Output[str]
    monthly_price: pulumi.Output[float]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        type: pulumi.Input[str],
        size: pulumi.Input[int],
        location: pulumi.Input[str],
        adopt_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "type": type, "size": size, "location": location, "adopt_id": adopt_id}
        outputs = dict.fromkeys(("pseudo_path", "monthly_price"))
        super().__init__(VerdaVolumeProvider(), resource_name, {**props, **outputs}, opts)


class VerdaVolumeShare(Resource, module="verda", name="VolumeShare"):
    """A shared file system made mountable on one machine; the commands are Verda's own, for NFS with nconnect=16."""

    target: pulumi.Output[str]
    pseudo_path: pulumi.Output[str]
    mount_command: pulumi.Output[str]
    create_directory_command: pulumi.Output[str]
    fstab_command: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        volume_id: pulumi.Input[str],
        instance_id: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        outputs = ("target", "pseudo_path", "mount_command", "create_directory_command", "fstab_command")
        props = {"volume_id": volume_id, "instance_id": instance_id, **dict.fromkeys(outputs)}
        super().__init__(VerdaVolumeShareProvider(), resource_name, props, opts)


class VerdaScratchAttachment(Resource, module="verda", name="ScratchAttachment"):
    """A block volume attached to a machine that is provisioned already; `target` is its device, such as "vdb"."""

    target: pulumi.Output[str]
    ip: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        volume_id: pulumi.Input[str],
        instance_id: pulumi.Input[str],
        timeout_seconds: pulumi.Input[int] = 600,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"volume_id": volume_id, "instance_id": instance_id, "timeout_seconds": timeout_seconds}
        super().__init__(
            VerdaScratchAttachmentProvider(), resource_name, {**props, **dict.fromkeys(("target", "ip"))}, opts
        )
