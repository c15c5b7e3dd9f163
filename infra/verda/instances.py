"""The GPU host: renting it, pinning its host key, and backing it up before it is deleted.

`VerdaInstance` is the machine: once rented it always reaches the state, also when it does not come up, so that nothing
is billed that the state does not know. `VerdaInstanceReady` is where a machine that did not come up is refused.
"""

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult
from verda.instances import Instance

from infra.remote import host_key
from infra.verda import backup
from infra.verda.client.machines import FAILED, NOT_YET_UP, Order
from infra.verda.errors import BackupFailed, VerdaError
from infra.verda.provider import GONE, Props, VerdaProvider
from services.domain.errors import WorkshopError

SSHD_SECONDS = 300.0
"""How long a machine that Verda calls running may take until its sshd answers."""

DELETION_SSHD_SECONDS = 30.0


class VerdaInstanceProvider(VerdaProvider):
    """The host name is the machine's identity, so an old machine has to be gone before a new one can be rented."""

    replaces = (
        "hostname",
        "instance_type",
        "image",
        "location",
        "is_spot",
        "contract",
        "pricing",
        "os_volume_size",
    )
    delete_before_replace = True

    def is_unfinished(self, olds: Props) -> bool:
        return not olds.get("host_key")

    def make(self, props: Props) -> CreateResult:
        machine = self.api.machines.rent(_order(props))
        # From here on nothing may be raised: the engine forgets what a failing create has made.
        return CreateResult(machine.id, {**props, **self._come_up(machine, props)})

    def change(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        kept = {name: olds.get(name) for name in ("ip", "host_key", "status", "os_volume_id", "price_per_hour")}
        machine = self.api.machines.get(id_)
        if machine is None:
            raise VerdaError(f"Verda no longer has {news['hostname']}; run `pulumi refresh`, then `pulumi up`.")
        seen = {} if kept["host_key"] else self._come_up(machine, news)
        return UpdateResult({**news, **kept, **seen})

    def _come_up(self, machine: Instance, props: Props) -> Props:
        """What is known of the machine once it is up, or at the end of its time; never raises."""
        key = ""
        try:
            machine = self.api.machines.wait_for(machine.id, "running", float(props["boot_seconds"]))
            key = host_key.learn(*backup.split_address(str(machine.ip)), SSHD_SECONDS)
        except Exception as reason:  # whatever it is, the machine is rented: it must reach the state
            why = reason.message if isinstance(reason, WorkshopError) else str(reason)
            backup.say(f"{props['hostname']} is rented and not up yet: {why}")
            machine = self._as_last_seen(machine)
        return {**_seen(machine), "host_key": key}

    def _as_last_seen(self, machine: Instance) -> Instance:
        try:
            return self.api.machines.get(machine.id) or machine
        except VerdaError:
            return machine

    def look(self, id_: str, props: Props) -> ReadResult:
        machine = self.api.machines.get(id_)
        return GONE if machine is None else ReadResult(id_, {**props, **_seen(machine)})

    def unmake(self, id_: str, props: Props) -> None:
        """Back up, then delete. Raises BackupFailed, and touches nothing, when there is no verified backup."""
        machine = self.api.machines.get(id_)
        if machine is not None and machine.status != "deleting":
            self._save(machine, props)
        self.api.machines.delete(id_, os_volume_id=props.get("os_volume_id") or None)

    def _save(self, machine: Instance, props: Props) -> None:
        hostname = str(props["hostname"])
        if backup.is_waived(hostname):
            backup.record_waiver(hostname, machine.id)
        elif never_came_up(machine, props):
            backup.say(f"{hostname} never came up ({machine.status}): there is nothing on it to back up.")
        else:
            address = str(machine.ip or props.get("ip") or "")
            snapshot = backup.before_deletion(
                hostname, address, host_key=self._pinned_key(address, props), private_key=self._private_key
            )
            backup.say(f"{hostname} is backed up as {snapshot}; it is deleted now.")

    def _pinned_key(self, address: str, props: Props) -> str:
        """The key that was learned when the machine came up; a machine that was slow then is asked for it now."""
        if props.get("host_key"):
            return str(props["host_key"])
        try:
            return host_key.learn(*backup.split_address(address), DELETION_SSHD_SECONDS)
        except (TimeoutError, ValueError):
            raise BackupFailed(
                f"{props['hostname']} was not deleted and is billed on: its sshd does not answer, so it cannot be "
                f"backed up; if the machine is dead, {backup.WAIVER_VARIABLE}={props['hostname']} gives it up."
            ) from None


def never_came_up(machine: Instance, props: Props) -> bool:
    """Whether no program of ours can ever have run there: no address, no host key, and Verda calls it unfinished."""
    return not machine.ip and not props.get("host_key") and machine.status in NOT_YET_UP | FAILED


def _order(props: Props) -> Order:
    return Order(
        hostname=props["hostname"],
        description=props["description"],
        instance_type=props["instance_type"],
        image=props["image"],
        location=props["location"],
        ssh_key_ids=tuple(props["ssh_key_ids"]),
        startup_script_id=props.get("startup_script_id"),
        os_volume_gb=int(props["os_volume_size"]),
        is_spot=bool(props.get("is_spot")),
        contract=props.get("contract"),
        pricing=props.get("pricing"),
    )


def _seen(machine: Instance) -> Props:
    return {
        "ip": machine.ip or "",
        "status": machine.status,
        "os_volume_id": machine.os_volume_id or "",
        "price_per_hour": machine.price_per_hour,
    }


class VerdaInstanceReadyProvider(VerdaProvider):
    """Looks at the machine, holds nothing of its own: making it again or deleting it changes nothing at Verda."""

    replaces = ("instance_id",)
    updates = ("hostname", "host_key")

    def make(self, props: Props) -> CreateResult:
        return CreateResult(props["instance_id"], self._ready(props))

    def change(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self._ready(news))

    def _ready(self, props: Props) -> Props:
        machine = self.api.machines.wait_for(props["instance_id"], "running", float(props["timeout_seconds"]))
        if not props.get("host_key"):
            raise VerdaError(
                f"{props['hostname']} runs but its sshd did not answer in time; look at it in Verda's console, then "
                "run `pulumi up` again: it goes on waiting for it."
            )
        return {**props, "ip": machine.ip, "status": machine.status}

    def look(self, id_: str, props: Props) -> ReadResult:
        machine = self.api.machines.get(id_)
        if machine is None:
            return GONE
        return ReadResult(id_, {**props, "ip": machine.ip or "", "status": machine.status})

    def unmake(self, id_: str, props: Props) -> None:
        """Nothing to undo: it only looked."""


class VerdaInstance(Resource, module="verda", name="Instance"):
    """One rented machine, from its first boot to its backed-up end.

    `ssh_key_ids`, `startup_script_id` and `description` count at the first boot only; a later change does nothing.
    `host_key` is "" while the machine has not come up; the next `up` then goes on waiting for it.
    """

    ip: pulumi.Output[str]
    host_key: pulumi.Output[str]
    status: pulumi.Output[str]
    os_volume_id: pulumi.Output[str]
    price_per_hour: pulumi.Output[float]

    def __init__(
        self,
        resource_name: str,
        *,
        hostname: pulumi.Input[str],
        description: pulumi.Input[str],
        instance_type: pulumi.Input[str],
        image: pulumi.Input[str],
        location: pulumi.Input[str],
        ssh_key_ids: Sequence[pulumi.Input[str]],
        os_volume_size: pulumi.Input[int],
        startup_script_id: pulumi.Input[str] | None = None,
        is_spot: pulumi.Input[bool] = False,
        contract: pulumi.Input[str] | None = None,
        pricing: pulumi.Input[str] | None = None,
        boot_seconds: pulumi.Input[int] = 900,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "hostname": hostname,
            "description": description,
            "instance_type": instance_type,
            "image": image,
            "location": location,
            "ssh_key_ids": list(ssh_key_ids),
            "os_volume_size": os_volume_size,
            "startup_script_id": startup_script_id,
            "is_spot": is_spot,
            "contract": contract,
            "pricing": pricing,
            "boot_seconds": boot_seconds,
        }
        outputs = dict.fromkeys(("ip", "host_key", "status", "os_volume_id", "price_per_hour"))
        # Also for `up --replace`: a second machine of the same name would be taken for the first.
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True))
        super().__init__(VerdaInstanceProvider(), resource_name, {**props, **outputs}, opts)


class VerdaInstanceReady(Resource, module="verda", name="InstanceReady"):
    """The machine as something to work on: `ip` and `host_key` are there, or this resource fails in one sentence."""

    ip: pulumi.Output[str]
    host_key: pulumi.Output[str]
    status: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        instance_id: pulumi.Input[str],
        hostname: pulumi.Input[str],
        host_key: pulumi.Input[str],
        timeout_seconds: pulumi.Input[int] = 900,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "instance_id": instance_id,
            "hostname": hostname,
            "host_key": host_key,
            "timeout_seconds": timeout_seconds,
        }
        super().__init__(
            VerdaInstanceReadyProvider(), resource_name, {**props, **dict.fromkeys(("ip", "status"))}, opts
        )
