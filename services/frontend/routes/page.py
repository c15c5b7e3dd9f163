"""The page itself: the stock files of `comfyui-frontend-package`, the templates, and what the instructor published.

Registered last: its catch-all serves static files only, and nothing outside the package.
"""

from urllib.parse import quote

from aiohttp import web

from services.domain.errors import NotFound
from services.frontend import templates
from services.frontend.routes.extensions import OWN_FILES
from services.frontend.static_files import file_answer
from services.frontend.workspace import json_answer, workspace

routes = web.RouteTableDef()
"""Asked for with and without `/api`."""

static_routes = web.RouteTableDef()
"""Asked for as files; the last one takes every address that is left."""

HEAD = "<head>"
IMMUTABLE = "public, max-age=31536000, immutable"
"""For files below `assets/`: their names carry a digest of their content."""

STORAGE_SCRIPT = (OWN_FILES / "storage.js").read_text(encoding="utf-8")
IMPORT_MAP = '<script type="importmap">{"imports":{"/scripts/":"./scripts/","/extensions/":"./extensions/"}}</script>'
"""Node packs import `/scripts/app.js` as if the page were alone on its host; here a name stands in front of it."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'"
)
"""The page asks its makers' servers for news and accounts; here nobody's browser tells them that it is open."""

GROUP = "workshop"
"""The heading of published workflows in the template list."""


@static_routes.get("/")
async def index(request: web.Request) -> web.Response:
    """The stock page with two additions in front: each participant's own browser storage, and where imports lead.

    The storage script stands in the page itself: as a file it would hold up the first paint by a round trip.
    """
    space = workspace(request)
    html = (space.page / "index.html").read_text(encoding="utf-8")
    script = f'<script data-participant="{space.settings.participant}">{STORAGE_SCRIPT}</script>'
    html = html.replace(HEAD, HEAD + script + IMPORT_MAP, 1)
    headers = {"Cache-Control": "no-store, must-revalidate", "Content-Security-Policy": POLICY}
    return web.Response(text=html, content_type="text/html", headers=headers)


@routes.get("/workflow_templates")
async def published(request: web.Request) -> web.Response:
    """Workflows that the instructor published to all, as a template group."""
    listed = (await workspace(request).queue.ask("GET", "/api/workflows"))["workflows"]
    return json_answer({GROUP: [workflow["name"] for workflow in listed]} if listed else {})


@routes.get(f"/workflow_templates/{GROUP}/{{name}}")
async def published_workflow(request: web.Request) -> web.Response:
    """One published workflow, which the page opens as a copy, or the picture on its card."""
    stem, _, ending = request.match_info["name"].rpartition(".")
    if ending == "json":
        return json_answer(await workspace(request).queue.ask("GET", f"/api/workflows/{quote(stem, safe='')}"))
    if not stem or f".{ending}" not in templates.CARD_ENDINGS:
        raise NotFound("template: there is none of that name; look at the list.")
    return web.Response(body=templates.card(stem), content_type="image/svg+xml")


@static_routes.get("/templates/{name}")
async def template(request: web.Request) -> web.StreamResponse:
    """The template list, one template, or the picture on its card."""
    content, kind = templates.read(request.match_info["name"])
    return web.Response(body=content, content_type=kind, headers={"Cache-Control": "no-cache"})


@static_routes.get("/{path:.+}")
async def static_file(request: web.Request) -> web.StreamResponse:
    """A file of the stock page."""
    path = request.match_info["path"]
    response = file_answer(workspace(request).page, path)
    if path.startswith("assets/") and response.status == 200:
        response.headers["Cache-Control"] = IMMUTABLE
    return response
