"""Where the engine is kept in the application."""

from typing import Any

from aiohttp import web

from services.worker.rehearsal.engine import Engine

ENGINE: web.AppKey[Engine] = web.AppKey("engine", Engine)


def engine_of(request: web.Request) -> Engine:
    """The engine that answers this request."""
    return request.app[ENGINE]


async def read_json(request: web.Request) -> Any:
    """The body as JSON. Answers 400 with one sentence when it is not."""
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise _bad_body("The body is not JSON that can be read; send a JSON object.") from error


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object. Answers 400 with one sentence when it is not."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise _bad_body("The body is JSON but no object; send an object such as {}.")
    return body


def _bad_body(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=sentence, content_type="text/plain")
