"""Who has come, as the front door says, and what is refused before any route is asked.

nginx has checked the session and repeats name and role; its secret proves that it was nginx. A page of another site
may neither read nor send anything here, whatever password or cookie the browser would add.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.admin.pages import refusal
from services.domain.errors import Forbidden, NotSignedIn, WorkshopError
from services.domain.names import Role, is_name

_VISITOR = "comfyume.visitor"
OPEN = "/healthz"
"""The one address that the host may ask directly."""


@dataclass(frozen=True)
class Visitor:
    """Who asks."""

    name: str
    role: Role


class FrontDoorOnly:
    """ASGI middleware: refuses what did not come through nginx, and what a page of another site sends."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass with its visitor noted, or answer it."""
        if scope["type"] == "http" and scope["path"] != OPEN:
            headers = Headers(scope=scope)
            try:
                scope[_VISITOR] = self._visitor(headers)
                if comes_from_another_site(headers):
                    raise Forbidden("This was sent by a page of another site; open the console itself.")
            except WorkshopError as error:
                await refusal(error, headers.get("accept", ""))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _visitor(self, headers: Headers) -> Visitor:
        if not hmac.compare_digest(headers.get("x-door-secret", "").encode("latin-1"), self._secret):
            raise Forbidden("Open the console through the workshop's own address.")
        name, role = headers.get("x-auth-name", ""), headers.get("x-auth-role", "")
        if not is_name(name) or role not in list(Role):
            raise NotSignedIn("Nobody is signed in; open the workshop's own address and sign in.")
        return Visitor(name, Role(role))


def comes_from_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser sends this for another site's page; following a link to the console is not meant."""
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    return _host(origin.partition("://")[2]) != _host(headers.get("host", ""))


def _host(text: str) -> str:
    return text.removesuffix(":443").lower()


def require(*roles: Role) -> Callable[[Request], Visitor]:
    """Make the dependency that lets only these roles pass and returns who it is."""

    def gate(request: Request) -> Visitor:
        visitor = cast(Visitor, request.scope[_VISITOR])
        if visitor.role not in roles:
            raise Forbidden("The console is for the instructor and the operator; your own workspace has your name.")
        return visitor

    return gate


AsStaff = Annotated[Visitor, Depends(require(Role.INSTRUCTOR, Role.OPERATOR))]
