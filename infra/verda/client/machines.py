"""Machines: renting by a unique host name, switching, deleting, and waiting for each to have happened."""

from dataclasses import dataclass

from verda.instances import Instance, InstancesService, OSVolume

from infra.verda import errors
from infra.verda.client.discipline import create_once, ignoring_gone, only
from infra.verda.client.transport import Transport
from infra.verda.client.volumes import Volumes
from infra.verda.waiting import Clock, until

# Words of the API for a machine that is no longer ours, or never will be (the SDK names fewer than the API sends).
GONE = frozenset({"discontinued", "deleted", "notfound"})
LEAVING = GONE | {"deleting"}
FAILED = frozenset({"error", "no_capacity"})
NOT_YET_UP = frozenset({"new", "ordered", "validating", "pending", "provisioning"})

ACTION_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """One machine as it is asked for. `os_volume_gb` is the size of the disk it starts from, in GB."""

    hostname: str
    description: str
    instance_type: str
    image: str
    location: str
    ssh_key_ids: tuple[str, ...]
    startup_script_id: str | None
    os_volume_gb: int
    is_spot: bool = False
    contract: str | None = None
    pricing: str | None = None


class Machines:
    """The account's machines."""

    def __init__(self, http: Transport, clock: Clock, volumes: Volumes) -> None:
        self._service = InstancesService(http)
        self._clock = clock
        self._volumes = volumes

    def all(self) -> list[Instance]:
        """Every machine that is not on its way out."""
        return [machine for machine in self._service.get() if machine.status not in LEAVING]

    def get(self, id_: str) -> Instance | None:
        """The machine, or None when Verda does not have it any more. One that is being deleted is still there."""
        try:
            found: Instance = self._service.get_by_id(id_)
        except errors.NotAtVerda:
            return None
        return None if found.status in GONE else found

    def find(self, hostname: str) -> Instance | None:
        """The machine of this name; raises Ambiguous when there are two."""
        return only(f"machines are named {hostname!r}", [found for found in self.all() if found.hostname == hostname])

    def rent(self, order: Order) -> Instance:
        """The machine of this name, rented if there is none yet. Does not wait for it to come up."""
        found = self.find(order.hostname)
        if found is None:
            found = create_once(lambda: self._order(order), lambda: self.find(order.hostname), self._clock)
        asked, there = (order.instance_type, order.location), (found.instance_type, found.location)
        if asked != there:
            raise errors.Ambiguous(
                f"A machine named {order.hostname!r} is already there, but as {there[0]} in {there[1]} instead of "
                f"{asked[0]} in {asked[1]}; remove it in Verda's console or change the settings."
            )
        return found

    def _order(self, order: Order) -> Instance:
        try:
            ordered: Instance = self._service.create(
                instance_type=order.instance_type,
                image=order.image,
                hostname=order.hostname,
                description=order.description,
                ssh_key_ids=list(order.ssh_key_ids),
                location=order.location,
                startup_script_id=order.startup_script_id,
                os_volume=OSVolume(name=f"{order.hostname}-os", size=order.os_volume_gb),
                is_spot=order.is_spot,
                contract=order.contract,
                pricing=order.pricing,
                wait_for_status=None,
            )
        except errors.NoCapacity as none_free:
            raise errors.NoCapacity(f"{none_free.message} {self._free_now(order.is_spot)}".strip()) from None
        return ordered

    def _free_now(self, is_spot: bool) -> str:
        """A sentence with what could be rented instead; nothing where Verda does not say."""
        try:
            places = self._service.get_availabilities(is_spot=is_spot)
        except errors.VerdaError:
            return ""
        free = [
            f"{place.get('location_code')}: {', '.join(sorted(place['availabilities']))}"
            for place in places
            if place.get("availabilities")
        ]
        return f"Free now: {'; '.join(free)}." if free else "Nothing is free now."

    def start(self, id_: str) -> None:
        """Ask a machine that is switched off to start."""
        self._service.action(id_, "start")

    def shut_down(self, id_: str) -> None:
        """Ask a machine to switch off. It is billed on."""
        self._service.action(id_, "shutdown")

    def wait_for(self, id_: str, status: str, seconds: float = ACTION_SECONDS) -> Instance:
        """The machine once it has this status (and, running, an address).

        Raises DeadlinePassed, and without waiting longer NotAtVerda, NoCapacity or VerdaError when it never will.
        """
        sentence = f"The machine did not reach {status!r} within {seconds:.0f} s; run the same command again."
        return until(lambda: self._if(id_, status), clock=self._clock, seconds=seconds, sentence=sentence)

    def _if(self, id_: str, status: str) -> Instance | None:
        found = self.get(id_)
        if found is None:
            raise errors.NotAtVerda("Verda no longer has the machine; run `pulumi refresh`, then `pulumi up`.")
        if found.status == "no_capacity":
            raise errors.NoCapacity(
                f"Verda has no free machine for {found.hostname!r} ({found.instance_type}); "
                "set the GPU count to 0 and bring it up again with another type, or later."
            )
        if found.status in FAILED:
            raise errors.VerdaError(
                f"Verda reports an error for {found.hostname!r}; set the GPU count to 0 and bring it up again."
            )
        return found if found.status == status and (status != "running" or found.ip) else None

    def delete(self, id_: str, *, os_volume_id: str | None, seconds: float = ACTION_SECONDS) -> None:
        """Delete a machine and its system disk (which stays in Verda's trash for 96 h); other volumes are kept.

        Done when the machine is gone: only then are its volumes free. A machine that is gone already is fine.
        """
        found = self.get(id_)
        if found is not None and found.status != "deleting":
            os_volume_id = found.os_volume_id or os_volume_id
            disks = [os_volume_id] if os_volume_id else []
            ignoring_gone(lambda: self._service.action(id_, "delete", volume_ids=disks))
        sentence = f"Verda has not deleted the machine within {seconds:.0f} s; run the same command again."
        until(lambda: self.get(id_) is None or None, clock=self._clock, seconds=seconds, sentence=sentence)
        if os_volume_id:
            # A partial failure is answered as a success (207), so the disk is looked at and not believed.
            self._volumes.delete(os_volume_id)
