"""Everything that a route of one participant's web UI may ask for, opened once at start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from services.domain.errors import InvalidInput
from services.frontend.browser_sockets import BrowserSockets
from services.frontend.catalogue import Catalogue
from services.frontend.job_index import JobIndex
from services.frontend.live_view import LiveView
from services.frontend.node_scripts import NodeScripts
from services.frontend.queue_client import QueueClient
from services.frontend.settings import FrontendSettings
from services.frontend.user_files import UserFiles


@dataclass(frozen=True)
class Workspace:
    """One participant's web UI."""

    settings: FrontendSettings
    queue: QueueClient
    sockets: BrowserSockets
    live: LiveView
    catalogue: Catalogue
    scripts: NodeScripts
    jobs: JobIndex
    files: UserFiles
    page: Path


WORKSPACE = web.AppKey("workspace", Workspace)


def workspace(request: web.Request) -> Workspace:
    """The workspace that a request is for: a process has one."""
    return request.app[WORKSPACE]


def json_answer(content: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(content), status=status, content_type="application/json")


async def json_value(request: web.Request) -> Any:
    """The request's JSON, of whatever kind.

    Raises:
        InvalidInput: it is none, or nested too deeply.
    """
    try:
        return msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput("body: this is not valid JSON; send a JSON object.") from error


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        InvalidInput: it is none.
    """
    body = await json_value(request)
    if not isinstance(body, dict):
        raise InvalidInput("body: this is not a JSON object; send {...}.")
    return body
