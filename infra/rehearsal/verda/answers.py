"""How the rehearsed Verda says no: its error codes, in its form; and the faults that a rehearsal can order."""

import json
from typing import Any

from aiohttp import web

STATUS = {
    "invalid_request": 400,
    "unauthorized_request": 401,
    "insufficient_funds": 402,
    "forbidden_action": 403,
    "not_found": 404,
    "server_error": 500,
    "service_unavailable": 503,
}

# What a fault's `error` may say, beside a code above: the code and the words that come back.
ORDERED = {
    "no_capacity": ("service_unavailable", "The requested instance type is not available at this location"),
    "insufficient_funds": ("insufficient_funds", "Insufficient funds to deploy the instance"),
    "quota": ("forbidden_action", "Instance quota exceeded for this project"),
    "server_error": ("server_error", "Internal server error"),
}
HTML = "html"
PORTAL = "portal"
DROP = "drop"


class Refused(Exception):
    """A request that the API does not carry out."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def answer(self) -> web.Response:
        return web.json_response({"code": self.code, "message": self.message}, status=STATUS[self.code])


def ordered_fault(error: str, request: web.Request) -> web.Response:
    """The answer that a rehearsal ordered instead of the real one."""
    if error == HTML:
        page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
        return web.Response(status=502, text=page, content_type="text/html")
    if error == PORTAL:
        return web.Response(text="<html><body>Please sign in to this network</body></html>", content_type="text/html")
    if error == DROP:
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)
    code, message = ORDERED.get(error, (error, "ordered by the rehearsal"))
    return Refused(code, message).answer()


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request; raises Refused for anything else."""
    try:
        found = await request.json()
    except json.JSONDecodeError:
        raise Refused("invalid_request", "The body is not JSON") from None
    if not isinstance(found, dict):
        raise Refused("invalid_request", "The body is not an object")
    return found


def need(found: dict[str, Any], *names: str) -> None:
    """Refuse a body that lacks one of these fields."""
    for name in names:
        if found.get(name) in (None, ""):
            raise Refused("invalid_request", f"{name} should not be empty")


def ids(found: dict[str, Any]) -> list[str]:
    """The `id` of an action: one, or a list."""
    need(found, "id")
    return [found["id"]] if isinstance(found["id"], str) else list(found["id"])
