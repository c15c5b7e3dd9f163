"""/instances of the rehearsed Verda: ordered, provisioned in a moment, switched, deleted, each seen as a status."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from infra.rehearsal.verda.answers import Refused, body, ids, need
from infra.rehearsal.verda.catalogue import IMAGES, LOCATIONS, SPOT, TYPES, availabilities, hardware
from infra.rehearsal.verda.hosts import Hosts
from infra.rehearsal.verda.store import Shelf, Store, Thing, new_id, now
from infra.rehearsal.verda.volumes import new_volume

MOMENT = 0.1
"""Seconds that a step takes here and minutes there; the order of the statuses is Verda's."""

HOLD = "hold"
"""A fault of the op `provision`: the machine stays in provisioning for as long as the fault is ordered."""


class Instances:
    """Routes and life of instances."""

    def __init__(self, store: Store, hosts: Hosts) -> None:
        self._store = store
        self._hosts = hosts
        self._busy: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/instances", self.listed),
            web.get("/v1/instances/{id}", self.one),
            web.post("/v1/instances", self.create),
            web.put("/v1/instances", self.act),
            web.get("/v1/instance-availability", self.available),
            web.get("/v1/instance-availability/{type}", self.is_available),
        ]

    async def resume(self) -> None:
        """Go on where a former process of the stand-in stopped: machines answer again at their old addresses."""
        for instance in self._store.look("instances"):
            if instance["status"] in ("ordered", "provisioning"):
                self._begin(self._provision(instance["id"]))
            elif instance["status"] == "deleting":
                self._begin(self._vanish(instance["id"]))
            elif instance["ip"]:
                await self._hosts.start(instance["hostname"], self._keys(instance), "")

    async def listed(self, request: web.Request) -> web.Response:
        status = request.query.get("status")
        found = [instance for instance in self._store.look("instances") if instance["status"] != "discontinued"]
        return web.json_response([instance for instance in found if not status or instance["status"] == status])

    async def one(self, request: web.Request) -> web.Response:
        instance = self._store.get("instances", request.match_info["id"])
        if instance is None:
            raise Refused("not_found", "The instance was not found")
        return web.json_response(instance)

    async def create(self, request: web.Request) -> web.Response:
        asked = await body(request)
        with self._store.change() as shelves:
            _refuse(asked, shelves)
            disk = asked.get("os_volume") or {"name": f"{asked['hostname']}-os", "size": 50}
            volume = new_volume(disk["name"], "NVMe", disk["size"], asked["location_code"], is_os=True)
            instance = _new_instance(asked, volume["id"])
            volume.update(instance_id=instance["id"], target="vda", status="attached")
            shelves["volumes"][volume["id"]] = volume
            shelves["instances"][instance["id"]] = instance
        self._begin(self._provision(instance["id"]))
        return web.Response(status=202, text=instance["id"])

    async def act(self, request: web.Request) -> web.Response:
        asked = await body(request)
        need(asked, "action")
        for id_ in ids(asked):
            instance = self._store.get("instances", id_)
            if instance is None:
                raise Refused("not_found", "The instance was not found")
            self._act(instance, asked)
        return web.Response(status=202)

    async def available(self, _: web.Request) -> web.Response:
        return web.json_response(availabilities())

    async def is_available(self, request: web.Request) -> web.Response:
        return web.json_response(request.match_info["type"] in TYPES)

    # -- life ---------------------------------------------------------------------------------------------------------

    def _act(self, instance: Thing, asked: dict[str, Any]) -> None:
        status, id_ = instance["status"], instance["id"]
        match asked["action"]:
            case "shutdown" if status == "running":
                self._begin(self._become(id_, "offline"))
            case "start" if status == "offline":
                self._begin(self._boot(id_))
            case "delete" if status != "deleting":
                disks = asked.get("volume_ids")
                doomed = [instance["os_volume_id"]] if disks is None else disks
                self._store.set("instances", id_, status="deleting", doomed=doomed)
                self._begin(self._vanish(id_))
            case _:
                raise Refused("invalid_request", f"{asked['action']} is not possible while {status}")

    async def _provision(self, id_: str) -> None:
        instance = self._store.get("instances", id_)
        if instance is None:
            return
        await asyncio.sleep(MOMENT)
        self._store.set("instances", id_, status="provisioning")
        name = instance["hostname"]
        # The order lies in a file, which tells nobody when it changes.
        while (fault := self._store.cloud.fault("provision", name)) and fault.error == HOLD:  # noqa: ASYNC110
            await asyncio.sleep(MOMENT)
        if fault is not None:
            self._store.set("instances", id_, status=fault.error)
            return
        script = self._store.get("scripts", str(instance["startup_script_id"])) or {}
        address = await self._hosts.start(instance["hostname"], self._keys(instance), str(script.get("script") or ""))
        self._store.set("instances", id_, status="running", ip=address)

    async def _become(self, id_: str, status: str) -> None:
        await asyncio.sleep(MOMENT)
        self._store.set("instances", id_, status=status)

    async def _boot(self, id_: str) -> None:
        instance = self._store.get("instances", id_)
        if instance is None:
            return
        await asyncio.to_thread(self._hosts.restart, instance["hostname"])
        for volume in self._store.look("volumes"):
            if volume["instance_id"] == id_ and not volume["is_os_volume"]:
                await asyncio.to_thread(self._hosts.attach, instance["hostname"], volume["id"], volume["target"])
        await self._become(id_, "running")

    async def _vanish(self, id_: str) -> None:
        await asyncio.sleep(MOMENT)
        instance = self._store.get("instances", id_)
        if instance is None:
            return
        await self._hosts.end(instance["hostname"])
        with self._store.change() as shelves:
            for volume in shelves["volumes"].values():
                volume["instances"] = [entry for entry in volume["instances"] if entry["id"] != id_]
                if volume["instance_id"] == id_:
                    volume.update(instance_id=None, status="detached")
                if volume["id"] in instance["doomed"]:
                    volume.update(status="deleted", deleted_at=now())
            del shelves["instances"][id_]

    def _keys(self, instance: Thing) -> list[str]:
        keys = [self._store.get("ssh_keys", id_) for id_ in instance["ssh_key_ids"]]
        return [key["key"] for key in keys if key is not None]

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)


def _refuse(asked: dict[str, Any], shelves: dict[str, Shelf]) -> None:
    need(asked, "instance_type", "image", "hostname", "description", "location_code")
    if asked["instance_type"] not in TYPES:
        raise Refused("invalid_request", "instance_type is not valid")
    if asked["location_code"] not in LOCATIONS:
        raise Refused("invalid_request", "location_code is not valid")
    if asked["image"] not in IMAGES and asked["image"] not in shelves["volumes"]:
        raise Refused("invalid_request", "image is not valid")
    if not asked["ssh_key_ids"] or not set(asked["ssh_key_ids"]) <= set(shelves["ssh_keys"]):
        raise Refused("invalid_request", "ssh_key_ids are not valid")
    if asked.get("startup_script_id") and asked["startup_script_id"] not in shelves["scripts"]:
        raise Refused("invalid_request", "startup_script_id is not valid")


def _new_instance(asked: dict[str, Any], os_volume_id: str) -> Thing:
    prices = SPOT if asked.get("is_spot") else TYPES
    return {
        "id": new_id(),
        "instance_type": asked["instance_type"],
        "price_per_hour": prices.get(asked["instance_type"], TYPES[asked["instance_type"]]).amount,
        "hostname": asked["hostname"],
        "description": asked["description"],
        "status": "ordered",
        "created_at": now(),
        "ssh_key_ids": asked["ssh_key_ids"],
        **hardware(asked["instance_type"]),
        "ip": None,
        "os_volume_id": os_volume_id,
        "location": asked["location_code"],
        "image": asked["image"],
        "startup_script_id": asked.get("startup_script_id"),
        "is_spot": bool(asked.get("is_spot")),
        "contract": asked.get("contract") or ("SPOT" if asked.get("is_spot") else "PAY_AS_YOU_GO"),
        "pricing": asked.get("pricing") or "FIXED_PRICE",
    }
