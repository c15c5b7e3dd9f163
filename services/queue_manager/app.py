"""Assembly of the queue manager: `create_app` puts the parts together, `lifespan.py` opens and closes them."""

import asyncio

from fastapi import FastAPI
from starlette.routing import Route

from services.kit.http_service import RequestContext, install_error_handlers
from services.queue_manager import openapi
from services.queue_manager.gate import SignedInOnly
from services.queue_manager.hot_routes import HOT, HotRoutes
from services.queue_manager.lifespan import lifespan_of
from services.queue_manager.routes import ROUTERS
from services.queue_manager.settings import QueueManagerSettings


def create_app(settings: QueueManagerSettings) -> FastAPI:
    """Put the application together; nothing is opened before its lifespan starts."""
    app = HotRoutes(
        title="ComfyuME queue manager",
        version="0.1.0",
        summary="One fair, durable queue for everybody in the room.",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        lifespan=lifespan_of(settings),
        redirect_slashes=False,
        # The documentation is a route of ours: it needs a credential like everything else.
        openapi_url=None,
    )
    app.state.stopping = asyncio.Event()
    install_error_handlers(app)
    app.add_middleware(SignedInOnly)
    app.add_middleware(RequestContext)
    for hot in HOT.values():
        app.routes.append(Route(hot.path, hot, methods=["POST"], include_in_schema=False))
    for router in ROUTERS:
        app.include_router(router, responses=openapi.REFUSALS)
    openapi.install(app)
    return app
