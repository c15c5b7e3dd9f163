"""The rehearsed Verda as one application: who may speak, which faults were ordered, and a note of every call.

Faults are the cloud's own (`faults.json`): `op` is the HTTP method in small letters and `urn` a regular expression on
the path; `error` is a code of Verda, or "no_capacity", "quota", "html" (a 502 page), "portal" (a page instead of the
API) or "drop" (the connection breaks).
With `when: after` the request is carried out and its answer lost. Two ops have a host name as `urn`:
`provision` (`error` is the status to end in, or "hold"), and `backup` ("unverified", "missing", else: it fails).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from infra.rehearsal.verda.account import Account
from infra.rehearsal.verda.answers import Refused, body, need, ordered_fault
from infra.rehearsal.verda.hosts import Hosts
from infra.rehearsal.verda.instances import Instances
from infra.rehearsal.verda.store import Store
from infra.rehearsal.verda.volumes import Volumes

TOKEN_PATH = "/v1/oauth2/token"  # noqa: S105
TOKEN_SECONDS = 3600

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Doorkeeper:
    """Hands out access tokens and knows the ones it gave."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()

    async def token(self, request: web.Request) -> web.Response:
        asked = await body(request)
        need(asked, "grant_type", "client_id", "client_secret")
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        answer = {
            "access_token": token,
            "refresh_token": secrets.token_urlsafe(24),
            "scope": "cloud-api-v1",
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
        }
        return web.json_response(answer)

    def refuse(self, request: web.Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path != TOKEN_PATH and token not in self._tokens:
            raise Refused("unauthorized_request", "Access token is missing or invalid")


def create_app(cloud: Path) -> web.Application:
    """The stand-in over the rehearsed cloud in this folder."""
    store, door = Store(cloud), Doorkeeper()
    hosts = Hosts(store)
    instances = Instances(store, hosts)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = request.method.lower()
        store.cloud.note_call(operation, request.path, "", began=True)
        answer = await _answer(request, handler, store, door)
        store.cloud.note_call(operation, request.path, "", "" if answer.status < 400 else str(answer.status))
        return answer

    app = web.Application(middlewares=[guarded])
    app.add_routes([web.post(TOKEN_PATH, door.token)])
    app.add_routes([*instances.routes(), *Volumes(store, hosts).routes(), *Account(store).routes()])

    async def resume(_: web.Application) -> None:
        await instances.resume()

    app.on_startup.append(resume)
    return app


async def _answer(request: web.Request, handler: Handler, store: Store, door: Doorkeeper) -> web.StreamResponse:
    fault = store.cloud.fault(request.method.lower(), request.path)
    if fault is not None:
        await request.read()  # a client that hangs up meanwhile has asked all the same
        await asyncio.sleep(fault.sleep)
        if fault.error and fault.when == "before":
            return ordered_fault(fault.error, request)
    try:
        door.refuse(request)
        answer = await handler(request)
    except Refused as refused:
        return refused.answer()
    except web.HTTPNotFound:
        return Refused("not_found", f"There is no {request.path}").answer()
    if fault is not None and fault.error and fault.when == "after":
        return ordered_fault(fault.error, request)
    return answer
