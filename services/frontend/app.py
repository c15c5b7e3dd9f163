"""Puts one participant's web UI together: routes with and without `/api`, the door, one form for every refusal."""

import asyncio
import hmac
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files as package_files
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from aiohttp.web_exceptions import HTTPException

from services.domain.errors import InvalidInput, WorkshopError
from services.frontend.browser_sockets import BrowserSockets
from services.frontend.catalogue import Catalogue
from services.frontend.job_index import JobIndex
from services.frontend.live_view import LiveView
from services.frontend.node_scripts import NodeScripts
from services.frontend.queue_client import QueueClient
from services.frontend.routes import (
    extensions,
    files,
    jobs,
    nodes,
    page,
    page_settings,
    prompt,
    queue,
    system,
    user_data,
)
from services.frontend.settings import FrontendSettings
from services.frontend.user_files import UserFiles
from services.frontend.waiting import tell_waiting
from services.frontend.workspace import WORKSPACE, Workspace, json_answer

PAGE_PACKAGE = "comfyui_frontend_package"
MAX_BODY_BYTES = 64 * 2**20
"""Of bodies that are read whole: workflows and saved files. Uploads stream and have their own limit."""

_SENTENCES = {
    404: "There is no such address here.",
    405: "This address does not take this method; look at ComfyUI's own interface.",
    413: f"The body is larger than {MAX_BODY_BYTES // 2**20} MB; send less at a time.",
    416: "Range: the file has no such part; ask for one inside it.",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = structlog.get_logger(__name__)


def create_app(settings: FrontendSettings) -> web.Application:
    """The application, ready to be run."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_refusals, _door(settings)])
    queue_client, sockets = QueueClient(settings.queue_url, settings.token_file), BrowserSockets()
    app[WORKSPACE] = Workspace(
        settings=settings,
        queue=queue_client,
        sockets=sockets,
        live=LiveView(queue_client, sockets),
        catalogue=Catalogue(queue_client),
        scripts=NodeScripts(queue_client),
        jobs=JobIndex(queue_client),
        files=UserFiles(settings.data_dir / "user", settings.quota_bytes),
        page=Path(str(package_files(PAGE_PACKAGE))) / "static",
    )
    for module in (prompt, queue, nodes, user_data, page_settings, files, system, extensions, page):
        _add_with_and_without_api(app, module.routes)
    app.add_routes(jobs.routes)
    app.router.add_get("/healthz", _alive)
    app.router.add_route("*", "/api/{unknown:.*}", _unknown)
    app.add_routes(extensions.static_routes)
    app.add_routes(page.static_routes)
    app.cleanup_ctx.append(_following)
    return app


def _add_with_and_without_api(app: web.Application, routes: web.RouteTableDef) -> None:
    for route in routes:
        assert isinstance(route, web.RouteDef), "static files have their own module"
        for prefix in ("/api", ""):
            app.router.add_route(route.method, prefix + route.path, route.handler)


async def _following(app: web.Application) -> AsyncIterator[None]:
    space = app[WORKSPACE]
    async with space.queue:
        tasks = [asyncio.create_task(space.live.follow()), asyncio.create_task(tell_waiting(space))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for socket in space.sockets:
            socket.close()


async def _alive(request: web.Request) -> web.Response:
    return json_answer({"status": "alive"})


async def _unknown(request: web.Request) -> web.Response:
    return json_answer({"error": "There is no such address here."}, 404)


def comes_from_another_site(request: web.Request) -> bool:
    """Whether a browser sends this for a page of another site; following a link to the workspace is not meant.

    The session's cookie does not travel then, but a password that the browser remembers does.
    """
    headers = request.headers
    if headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate":
        return True
    origin = headers.get("Origin", "")
    if not origin:
        return False
    scheme, _, sender = origin.partition("://")
    standard = {"https": ":443", "http": ":80"}.get(scheme, "")
    return sender.removesuffix(standard).lower() != request.host.removesuffix(standard).lower()


def _door(settings: FrontendSettings) -> Middleware:
    @web.middleware
    async def only_through_the_front_door(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse whoever did not come through nginx, which has checked the session; `/healthz` is for the host."""
        secret = settings.door_secret
        if secret is not None and request.path != "/healthz":
            given = request.headers.get("X-Door-Secret", "").encode()
            if not hmac.compare_digest(given, secret.get_secret_value().encode()):
                return json_answer({"error": "Open your workspace through the workshop's own address."}, 403)
            if request.headers.get("X-Auth-Name") != settings.participant:
                # The front door still knows the address of a container that has gone, and this one has got it.
                return json_answer({"error": "This is not your workspace; try again in a few seconds."}, 421)
        if comes_from_another_site(request):
            return json_answer({"error": "This was sent by a page of another site; open your workspace itself."}, 403)
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return json_answer({"error": "Content-Encoding: send the body as it is, not compressed."}, 415)
        return await handler(request)

    return only_through_the_front_door


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One sentence for everything that is refused; what nobody foresaw is logged and answered without its details."""
    try:
        return await handler(request)
    except InvalidInput as error:
        return json_answer({"error": error.message}, 400)  # ComfyUI knows no 422
    except WorkshopError as error:
        return json_answer({"error": error.message}, error.status)
    except HTTPException as error:
        answer = json_answer({"error": _SENTENCES.get(error.status, error.reason)}, error.status)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        reference = uuid.uuid4().hex[:8]
        _log.exception("request failed", path=request.path, reference=reference)
        return json_answer({"error": f"This failed on the server; tell the operator the number {reference}."}, 500)
