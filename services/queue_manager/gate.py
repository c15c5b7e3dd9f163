"""The outer door: nothing under /api is looked at for somebody whose credential is not known.

Each route has its own gate by role (dependencies.py). This one stands in front of all of them, so that an unknown
sender's body is not even read, and a route that forgot its gate is still not open to everybody.
"""

from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from services.domain.errors import WorkshopError
from services.kit.http_service import error_response
from services.queue_manager.dependencies import State


class SignedInOnly:
    """ASGI middleware: answers 401 (or 503 while credentials cannot be checked) before anything else is done."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it. Sockets carry their token elsewhere and are checked by their route."""
        if scope["type"] == "http" and scope["path"].startswith("/api"):
            header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
            try:
                cast(State, scope["state"])["credentials"].identify_header(header)
            except WorkshopError as error:
                await error_response(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)
