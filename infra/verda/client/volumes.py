"""Volumes: by unique name, growing, and attaching to one named machine (which the SDK cannot say of shared ones)."""

from verda.volumes import Volume, VolumesService

from infra.verda import errors
from infra.verda.client.discipline import create_once, ignoring_gone, only
from infra.verda.client.transport import Transport
from infra.verda.waiting import Clock, until

SHARED = "NVMe_Shared"
GONE = frozenset({"deleted", "deleting", "canceled", "canceling"})
ACTION_SECONDS = 600.0


class Volumes:
    """The account's volumes. The trash counts as deleted."""

    def __init__(self, http: Transport, clock: Clock) -> None:
        self._http = http
        self._service = VolumesService(http)
        self._clock = clock

    def all(self) -> list[Volume]:
        return [volume for volume in self._service.get() if volume.status not in GONE]

    def get(self, id_: str) -> Volume | None:
        """The volume, or None when it is deleted."""
        try:
            found: Volume = self._service.get_by_id(id_)
        except errors.NotAtVerda:
            return None
        return None if found.status in GONE else found

    def need(self, id_: str) -> Volume:
        """The volume; raises NotAtVerda when it is deleted."""
        found = self.get(id_)
        if found is None:
            raise errors.NotAtVerda(f"Verda has no volume {id_}; check its id, or take it back from Verda's trash.")
        return found

    def find(self, name: str) -> Volume | None:
        """The volume of this name; raises Ambiguous when there are two."""
        return only(f"volumes are named {name!r}", [found for found in self.all() if found.name == name])

    def ensure(self, *, name: str, type_: str, size: int, location: str) -> Volume:
        """The volume of this name, made if there is none yet; `size` in GB is a minimum for one that is there."""
        found = self.find(name)
        if found is None:
            found = create_once(
                lambda: self._service.create(type=type_, name=name, size=size, location=location),
                lambda: self.find(name),
                self._clock,
            )
        return self.take_over(found, type_=type_, size=size, location=location)

    def take_over(self, found: Volume, *, type_: str, size: int, location: str) -> Volume:
        """A volume that exists, grown to `size` GB if smaller; raises Ambiguous when it is not what is wanted."""
        if (found.type, found.location) != (type_, location):
            raise errors.Ambiguous(
                f"A volume named {found.name!r} is already there, but as {found.type} in {found.location} instead of "
                f"{type_} in {location}; rename it in Verda's console or change the settings."
            )
        if found.size < size:
            self.grow(found.id, size)
        return self.need(found.id)

    def grow(self, id_: str, size: int) -> None:
        self._service.increase_size(id_, size)

    def rename(self, id_: str, name: str) -> None:
        self._service.rename(id_, name)

    def delete(self, id_: str) -> None:
        """Into Verda's trash, from where a person can take it back for 96 hours."""
        if self.get(id_) is not None:
            ignoring_gone(lambda: self._service.delete_by_id(id_))

    def attach(self, id_: str, instance_id: str, seconds: float = ACTION_SECONDS) -> Volume:
        """Attach a volume to a machine, or share a shared one with it, and wait until Verda lists it there."""
        if not is_attached(self.need(id_), instance_id):
            self._http.put("/volumes", json={"id": [id_], "action": "attach", "instance_id": instance_id})
        return until(
            lambda: self._if_attached(id_, instance_id),
            clock=self._clock,
            seconds=seconds,
            sentence=f"Verda has not attached the volume within {seconds:.0f} s; run the same command again.",
        )

    def detach(self, id_: str, instance_id: str, seconds: float = ACTION_SECONDS) -> None:
        """Take a volume from one machine. The SDK's own detach names no machine: a shared volume would leave all."""
        found = self.get(id_)
        if found is None or not is_attached(found, instance_id):
            return
        order = {"id": [id_], "action": "detach", "instance_id": instance_id}
        ignoring_gone(lambda: self._http.put("/volumes", json=order))
        until(
            lambda: self._is_detached(id_, instance_id) or None,
            clock=self._clock,
            seconds=seconds,
            sentence=f"Verda has not detached the volume within {seconds:.0f} s; run the same command again.",
        )

    def _if_attached(self, id_: str, instance_id: str) -> Volume | None:
        volume = self.need(id_)
        return volume if is_attached(volume, instance_id) else None

    def _is_detached(self, id_: str, instance_id: str) -> bool:
        volume = self.get(id_)
        return volume is None or not is_attached(volume, instance_id)


def is_attached(volume: Volume, instance_id: str) -> bool:
    """Whether Verda lists this volume at this machine, in either of the two ways it has. Pure."""
    return volume.instance_id == instance_id or instance_id in {entry.get("id") for entry in volume.instances or []}
