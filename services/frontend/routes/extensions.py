"""The scripts that the page loads beside its own: the workshop's, and those of the workers' node packs."""

from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from services.domain.errors import NotFound
from services.domain.extension_files import content_type_of
from services.frontend.static_files import file_answer
from services.frontend.workspace import json_answer, workspace

routes = web.RouteTableDef()
"""Asked for with and without `/api`."""

static_routes = web.RouteTableDef()
"""Asked for as files."""

OWN_FILES = Path(str(files("services.frontend"))) / "web"
EXTENSION = "/extensions/comfyume/workshop.js"
_SCRIPT = "text/javascript"


@routes.get("/extensions")
async def extensions(request: web.Request) -> web.Response:
    """Stock's own scripts, the workshop's, and those of the node packs."""
    space = workspace(request)
    stock = sorted(f"/{path.relative_to(space.page).as_posix()}" for path in (space.page / "extensions").rglob("*.js"))
    packs = [f"/extensions/{quote(name)}" for name in await space.scripts.listing() if name.endswith(".js")]
    return json_answer([*stock, EXTENSION, *packs])


@static_routes.get("/extensions/comfyume/{name}")
async def own_script(request: web.Request) -> web.StreamResponse:
    """One of the workshop's own scripts."""
    return file_answer(OWN_FILES, request.match_info["name"])


@static_routes.get("/extensions/core/{name:.+}")
async def stock_script(request: web.Request) -> web.StreamResponse:
    """One of the page's own scripts."""
    return file_answer(workspace(request).page / "extensions" / "core", request.match_info["name"])


@static_routes.get("/extensions/{name:.+}")
async def pack_file(request: web.Request) -> web.Response:
    """A file of a node pack that a worker published: the operator's code, with a type that is never guessed."""
    scripts, name = workspace(request).scripts, request.match_info["name"]
    digest, kind = (await scripts.listing()).get(name), content_type_of(name)
    if digest is None or kind is None:
        raise NotFound("There is no such file of a node pack.")
    headers = {"ETag": f'"{digest}"', "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if kind != _SCRIPT:
        headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    if any(etag.value in (digest, "*") for etag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if kind.startswith("text/") else None
    return web.Response(body=await scripts.content(name), content_type=kind, charset=charset, headers=headers)
