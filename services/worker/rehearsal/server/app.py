"""The aiohttp application: every route of ComfyUI twice, bare and under /api."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from services.worker.rehearsal.engine import Engine, build_engine
from services.worker.rehearsal.server import routes_files, routes_info, routes_jobs, routes_prompt, routes_user
from services.worker.rehearsal.server.keys import ENGINE
from services.worker.rehearsal.settings import RehearsalSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def create_app(settings: RehearsalSettings) -> web.Application:
    """The whole engine as an application; it starts to run prompts when the application starts."""
    app = web.Application(client_max_size=settings.max_upload_bytes, middlewares=[refuse_foreign_pages])
    for module in (routes_info, routes_prompt, routes_jobs, routes_files, routes_user):
        for route in module.routes:
            assert isinstance(route, web.RouteDef)
            app.router.add_route(route.method, "/api" + route.path, route.handler)
            app.router.add_route(route.method, route.path, route.handler)
    if settings.web_dir is not None:
        app.router.add_static("/extensions/", settings.web_dir)
    app.cleanup_ctx.append(lambda app: _engine_context(app, settings))
    return app


async def _engine_context(app: web.Application, settings: RehearsalSettings) -> AsyncIterator[None]:
    engine: Engine = build_engine(settings, routes_info.features(settings))
    app[ENGINE] = engine
    publisher = asyncio.create_task(engine.sockets.publish())
    engine.start()
    app.on_shutdown.append(lambda _: engine.sockets.close())
    yield
    publisher.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await publisher


@web.middleware
async def refuse_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 403 to a page of another site that a browser on this machine has open, as ComfyUI does."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return web.Response(status=403)
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    if host and origin:
        here, there = urlsplit("//" + host.lower()), urlsplit(origin.lower())
        same_port = here.port is None or there.port is None or here.port == there.port
        if here.hostname in LOOPBACK and not (here.hostname == there.hostname and same_port):
            return web.Response(status=403)
    return await handler(request)
