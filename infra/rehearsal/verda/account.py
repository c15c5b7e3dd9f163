"""Keys, startup scripts, money, and the serverless side of the rehearsed Verda. Values of secrets are not kept."""

from typing import Any

from aiohttp import web

from infra.rehearsal.verda.answers import Refused, body, need
from infra.rehearsal.verda.catalogue import COMPUTE, IMAGES, LOCATIONS, price_list
from infra.rehearsal.verda.store import Store, Thing, new_id, now

BALANCE = 250.0


class Account:
    """Routes of what belongs to the account."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/balance", self.balance),
            web.get("/v1/instance-types", self.instance_types),
            web.get("/v1/locations", self.locations),
            web.get("/v1/images", self.images),
            *self._entries("sshkeys", "ssh_keys", ("name", "key")),
            *self._entries("scripts", "scripts", ("name", "script")),
            web.get("/v1/serverless-compute-resources", self.compute),
            web.get("/v1/container-deployments", self.deployments),
            web.post("/v1/container-deployments", self.deploy),
            web.get("/v1/container-deployments/{id}", self.deployment),
            web.patch("/v1/container-deployments/{id}", self.redeploy),
            web.delete("/v1/container-deployments/{id}", self.undeploy),
            web.get("/v1/container-deployments/{id}/status", self.deployment_status),
            web.get("/v1/secrets", self.secrets),
            web.post("/v1/secrets", self.keep_secret),
            web.delete("/v1/secrets/{id}", self.drop_secret),
        ]

    async def balance(self, _: web.Request) -> web.Response:
        return web.json_response({"amount": BALANCE, "currency": "eur"})

    async def instance_types(self, _: web.Request) -> web.Response:
        return web.json_response(price_list())

    async def locations(self, _: web.Request) -> web.Response:
        return web.json_response([{"code": code, "name": code, "country_code": code[:2]} for code in LOCATIONS])

    async def images(self, _: web.Request) -> web.Response:
        return web.json_response([{"id": name, "name": name, "image_type": name, "details": []} for name in IMAGES])

    async def compute(self, _: web.Request) -> web.Response:
        return web.json_response([{"name": name, "size": 1, "is_available": True} for name in COMPUTE])

    def _entries(self, path: str, shelf: str, fields: tuple[str, str]) -> list[web.RouteDef]:
        """Public keys and scripts behave alike: listed, shown in a list of one, entered, deleted."""

        async def listed(_: web.Request) -> web.Response:
            return web.json_response(self._store.look(shelf))

        async def one(request: web.Request) -> web.Response:
            return web.json_response([self._existing(shelf, request)])

        async def entered(request: web.Request) -> web.Response:
            asked = await body(request)
            need(asked, *fields)
            entry = {"id": new_id(), **{field: asked[field] for field in fields}, "created_at": now()}
            with self._store.change() as shelves:
                shelves[shelf][entry["id"]] = entry
            return web.Response(status=201, text=entry["id"])

        return [
            web.get(f"/v1/{path}", listed),
            web.get(f"/v1/{path}/{{id}}", one),
            web.post(f"/v1/{path}", entered),
            web.delete(f"/v1/{path}/{{id}}", self._dropping(shelf)),
        ]

    def _dropping(self, shelf: str) -> Any:
        async def dropped(request: web.Request) -> web.Response:
            self._existing(shelf, request)
            with self._store.change() as shelves:
                del shelves[shelf][request.match_info["id"]]
            return web.Response(status=200)

        return dropped

    def _existing(self, shelf: str, request: web.Request) -> Thing:
        found = self._store.get(shelf, request.match_info["id"])
        if found is None:
            raise Refused("not_found", "It was not found")
        return found

    # -- serverless ---------------------------------------------------------------------------------------------------

    async def deployments(self, _: web.Request) -> web.Response:
        return web.json_response(self._store.look("deployments"))

    async def deployment(self, request: web.Request) -> web.Response:
        return web.json_response(self._existing("deployments", request))

    async def deployment_status(self, request: web.Request) -> web.Response:
        self._existing("deployments", request)
        return web.json_response({"status": "healthy"})

    async def deploy(self, request: web.Request) -> web.Response:
        asked = await body(request)
        need(asked, "name", "containers", "compute", "scaling")
        if self._store.get("deployments", asked["name"]):
            raise Refused("invalid_request", "A deployment with this name exists")
        return web.json_response(self._put(asked["name"], asked), status=201)

    async def redeploy(self, request: web.Request) -> web.Response:
        self._existing("deployments", request)
        return web.json_response(self._put(request.match_info["id"], await body(request)))

    async def undeploy(self, request: web.Request) -> web.Response:
        self._existing("deployments", request)
        with self._store.change() as shelves:
            del shelves["deployments"][request.match_info["id"]]
        return web.Response(status=200)

    def _put(self, name: str, asked: dict[str, Any]) -> Thing:
        if asked["compute"]["name"] not in COMPUTE:
            raise Refused("invalid_request", "compute is not valid")
        with self._store.change() as shelves:
            for container in asked["containers"]:
                for variable in container.get("env") or []:
                    if (
                        variable["type"] == "secret"
                        and variable["value_or_reference_to_secret"] not in shelves["secrets"]
                    ):
                        raise Refused("invalid_request", f"The secret of {variable['name']} does not exist")
            kept = {key: value for key, value in asked.items() if not key.startswith("_")}
            containers = [
                {**container, "name": f"{name}-{place}"} for place, container in enumerate(kept["containers"])
            ]
            url = f"https://containers.rehearsal.test/{name}"
            shelves["deployments"][name] = {
                **kept,
                "name": name,
                "containers": containers,
                "endpoint_base_url": url,
                "created_at": now(),
            }
            return shelves["deployments"][name]

    async def secrets(self, _: web.Request) -> web.Response:
        return web.json_response(self._store.look("secrets"))

    async def keep_secret(self, request: web.Request) -> web.Response:
        asked = await body(request)
        need(asked, "name", "value")
        if self._store.get("secrets", asked["name"]):
            raise Refused("invalid_request", f"A secret with this name exists; its value {asked['value']} is not taken")
        with self._store.change() as shelves:
            shelves["secrets"][asked["name"]] = {
                "name": asked["name"],
                "created_at": now(),
                "secret_type": "generic",
            }
        return web.Response(status=201)

    async def drop_secret(self, request: web.Request) -> web.Response:
        self._existing("secrets", request)
        with self._store.change() as shelves:
            del shelves["secrets"][request.match_info["id"]]
        return web.Response(status=200)
