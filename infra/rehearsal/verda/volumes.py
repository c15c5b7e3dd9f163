"""/volumes of the rehearsed Verda: block volumes follow one machine, shared ones are exported to several."""

import asyncio
from typing import Any

from aiohttp import web

from infra.rehearsal.verda.answers import Refused, body, ids, need
from infra.rehearsal.verda.catalogue import LOCATIONS, VOLUME_PRICE_PER_GB_MONTH, VOLUME_TYPES
from infra.rehearsal.verda.hosts import Hosts
from infra.rehearsal.verda.store import Shelf, Store, Thing, new_id, now, short_id

SHARED = "NVMe_Shared"
HOURS_PER_MONTH = 730
FIRST_DEVICE = ord("b")


class Volumes:
    """Routes and rules of volumes."""

    def __init__(self, store: Store, hosts: Hosts) -> None:
        self._store = store
        self._hosts = hosts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/volumes", self.listed),
            web.get("/v1/volumes/trash", self.trash),
            web.get("/v1/volumes/{id}", self.one),
            web.post("/v1/volumes", self.create),
            web.put("/v1/volumes", self.act),
            web.delete("/v1/volumes/{id}", self.delete),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        status = request.query.get("status")
        found = [volume for volume in self._store.look("volumes") if volume["status"] != "deleted"]
        return web.json_response([volume for volume in found if not status or volume["status"] == status])

    async def trash(self, _: web.Request) -> web.Response:
        return web.json_response([volume for volume in self._store.look("volumes") if volume["status"] == "deleted"])

    async def one(self, request: web.Request) -> web.Response:
        volume = self._store.get("volumes", request.match_info["id"])
        if volume is None:
            raise Refused("not_found", "The volume was not found")
        return web.json_response(volume)

    async def create(self, request: web.Request) -> web.Response:
        asked = await body(request)
        need(asked, "type", "name", "size", "location_code")
        if asked["type"] not in VOLUME_TYPES:
            raise Refused("invalid_request", f"type must be one of {', '.join(VOLUME_TYPES)}")
        if asked["location_code"] not in LOCATIONS:
            raise Refused("invalid_request", "location_code is not valid")
        if not isinstance(asked["size"], int) or asked["size"] < 10:
            raise Refused("invalid_request", "size must be an integer of at least 10")
        volume = new_volume(asked["name"], asked["type"], asked["size"], asked["location_code"])
        with self._store.change() as shelves:
            shelves["volumes"][volume["id"]] = volume
        return web.Response(status=202, text=volume["id"])

    async def act(self, request: web.Request) -> web.Response:
        asked = await body(request)
        need(asked, "action")
        act = {
            "attach": self._attach,
            "detach": self._detach,
            "rename": self._rename,
            "resize": self._resize,
            "delete": self._discard,
        }.get(asked["action"])
        if act is None:
            raise Refused("invalid_request", "action is not valid")
        loose = self._devices(ids(asked)) if asked["action"] == "detach" else []
        with self._store.change() as shelves:
            for id_ in ids(asked):
                act(_existing(shelves["volumes"], id_), asked, shelves)
        for machine, device in loose:
            await asyncio.to_thread(self._hosts.detach, machine, device)
        self._follow()
        return web.json_response([None], status=202)

    async def delete(self, request: web.Request) -> web.Response:
        with self._store.change() as shelves:
            self._discard(_existing(shelves["volumes"], request.match_info["id"]), {}, shelves)
        return web.Response(status=202)

    # -- actions ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _attach(volume: Thing, asked: dict[str, Any], shelves: dict[str, Shelf]) -> None:
        names = asked.get("instance_ids") or [asked.get("instance_id")]
        for name in names:
            instance = shelves["instances"].get(name)
            if instance is None:
                raise Refused("not_found", "The instance was not found")
            if instance["location"] != volume["location"]:
                raise Refused("invalid_request", "The volume and the instance are in different locations")
            if volume["type"] == SHARED:
                volume["instances"] = [entry for entry in volume["instances"] if entry["id"] != name]
                volume["instances"].append({"id": name, "hostname": instance["hostname"], "ip": instance["ip"]})
                volume["status"] = "exported"
                continue
            if instance["status"] != "offline":
                raise Refused("invalid_request", "The instance must be shut down to attach a volume")
            if volume["instance_id"]:
                raise Refused("invalid_request", "The volume is already attached")
            taken = {other["target"] for other in shelves["volumes"].values() if other["instance_id"] == name}
            target = next(f"vd{chr(letter)}" for letter in range(FIRST_DEVICE, 127) if f"vd{chr(letter)}" not in taken)
            volume.update(instance_id=name, target=target, status="attached")

    @staticmethod
    def _detach(volume: Thing, asked: dict[str, Any], shelves: dict[str, Shelf]) -> None:
        leaving = asked.get("instance_id")
        if volume["type"] == SHARED:
            volume["instances"] = [entry for entry in volume["instances"] if leaving and entry["id"] != leaving]
            volume["status"] = "exported" if volume["instances"] else "detached"
            return
        instance = shelves["instances"].get(volume["instance_id"])
        if instance is not None and instance["status"] != "offline":
            raise Refused("invalid_request", "The instance must be shut down to detach a volume")
        volume.update(instance_id=None, status="detached")

    @staticmethod
    def _rename(volume: Thing, asked: dict[str, Any], _: dict[str, Shelf]) -> None:
        need(asked, "name")
        volume["name"] = asked["name"]

    @staticmethod
    def _resize(volume: Thing, asked: dict[str, Any], _: dict[str, Shelf]) -> None:
        need(asked, "size")
        if asked["size"] <= volume["size"]:
            raise Refused("invalid_request", "size must be larger than the current size")
        volume.update(size=asked["size"], **_price(volume["type"], asked["size"]))

    @staticmethod
    def _discard(volume: Thing, asked: dict[str, Any], shelves: dict[str, Shelf]) -> None:
        if volume["instance_id"] in shelves["instances"] or volume["instances"]:
            raise Refused("invalid_request", "The volume is attached to an instance")
        volume.update(status="deleted", deleted_at=now())

    def _devices(self, volume_ids: list[str]) -> list[tuple[str, str]]:
        """Machine and device of these block volumes, where they are attached."""
        names = {instance["id"]: instance["hostname"] for instance in self._store.look("instances")}
        volumes = [volume for volume in self._store.look("volumes") if volume["id"] in volume_ids]
        return [
            (names[volume["instance_id"]], volume["target"]) for volume in volumes if volume["instance_id"] in names
        ]

    def _follow(self) -> None:
        """Export the shared file systems to the machines that they are attached to now."""
        names = {instance["id"]: instance["hostname"] for instance in self._store.look("instances")}
        for volume in self._store.look("volumes"):
            if volume["type"] == SHARED:
                shared = [names[entry["id"]] for entry in volume["instances"] if entry["id"] in names]
                self._hosts.share(volume["pseudo_path"], shared)


def new_volume(name: str, type_: str, size: int, location: str, *, is_os: bool = False) -> Thing:
    """A volume as the API lists it."""
    pseudo_path = f"/{name}-{short_id()}"
    server = f"nfs.{location.lower()}.rehearsal.test"
    mount_point = f"/mnt/{name}"
    shared = {
        "pseudo_path": pseudo_path,
        "target": f"{server}:{pseudo_path}",
        "mount_command": f"mount -t nfs -o nconnect=16 {server}:{pseudo_path} {mount_point}",
        "create_directory_command": f"mkdir -p {mount_point}",
        "filesystem_to_fstab_command": (
            f'grep -qxF "{server}:{pseudo_path} {mount_point} nfs defaults,nconnect=16 0 0" /etc/fstab || '
            f'echo "{server}:{pseudo_path} {mount_point} nfs defaults,nconnect=16 0 0" | sudo tee -a /etc/fstab'
        ),
    }
    block = dict.fromkeys(shared)
    return {
        "id": new_id(),
        "status": "created" if type_ == SHARED else "detached",
        "name": name,
        "size": size,
        "type": type_,
        "is_os_volume": is_os,
        "created_at": now(),
        "location": location,
        "instance_id": None,
        "ssh_key_ids": [],
        "deleted_at": None,
        "instances": [],
        "contract": "PAY_AS_YOU_GO",
        "currency": "eur",
        "long_term": None,
        **(shared if type_ == SHARED else block),
        **_price(type_, size),
    }


def _price(type_: str, size: int) -> Thing:
    monthly = round(VOLUME_PRICE_PER_GB_MONTH[type_] * size, 4)
    return {"monthly_price": monthly, "base_hourly_cost": round(monthly / HOURS_PER_MONTH, 6)}


def _existing(shelf: Shelf, id_: str) -> Thing:
    volume = shelf.get(id_)
    if volume is None or volume["status"] == "deleted":
        raise Refused("not_found", "The volume was not found")
    return volume
