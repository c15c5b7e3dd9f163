"""The page itself: the stock files of `comfyui-frontend-package`, our extension beside them, and the templates.

Registered last: its catch-all serves static files only, and nothing outside the packages.
"""

from importlib.resources import files
from pathlib import Path

from aiohttp import web

from services.frontend import templates
from services.frontend.workspace import json_answer, workspace

routes = web.RouteTableDef()
"""Asked for with and without `/api`."""

static_routes = web.RouteTableDef()
"""Asked for as files; the last one takes every address that is left."""

OWN_FILES = Path(str(files("services.frontend"))) / "web"
EXTENSION = "/extensions/comfyume/workshop.js"
HEAD = "<head>"
IMMUTABLE = "public, max-age=31536000, immutable"
"""For files below `assets/`: their names carry a digest of their content."""


@static_routes.get("/")
async def index(request: web.Request) -> web.Response:
    """The stock page with one script in front of everything: each participant's own browser storage."""
    space = workspace(request)
    html = (space.page / "index.html").read_text(encoding="utf-8")
    script = f'<script src="extensions/comfyume/storage.js" data-participant="{space.settings.participant}"></script>'
    html = html.replace(HEAD, HEAD + script, 1)
    return web.Response(text=html, content_type="text/html", headers={"Cache-Control": "no-store, must-revalidate"})


@routes.get("/extensions")
async def extensions(request: web.Request) -> web.Response:
    """The scripts that the page loads: stock's own and the workshop's."""
    page = workspace(request).page
    stock = sorted(f"/{path.relative_to(page).as_posix()}" for path in (page / "extensions").rglob("*.js"))
    return json_answer([*stock, EXTENSION])


@static_routes.get("/extensions/comfyume/{name}")
async def own_script(request: web.Request) -> web.StreamResponse:
    """One of the workshop's own scripts."""
    return _file(OWN_FILES, request.match_info["name"])


@routes.get("/workflow_templates")
async def published(request: web.Request) -> web.Response:
    """Workflows that the instructor published to all, as a template group."""
    names = templates.published_names(workspace(request).settings.published_dir)
    return json_answer({"workshop": names} if names else {})


@routes.get("/workflow_templates/workshop/{name}")
async def published_workflow(request: web.Request) -> web.StreamResponse:
    """One published workflow; the page opens it as a copy."""
    folder = workspace(request).settings.published_dir
    return _file(folder, request.match_info["name"]) if folder else web.Response(status=404)


@static_routes.get("/templates/{name}")
async def template(request: web.Request) -> web.StreamResponse:
    """The template list, one template, or the picture on its card."""
    content, kind = templates.read(request.match_info["name"])
    return web.Response(body=content, content_type=kind, headers={"Cache-Control": "no-cache"})


@static_routes.get("/{path:.+}")
async def static_file(request: web.Request) -> web.StreamResponse:
    """A file of the stock page."""
    path = request.match_info["path"]
    response = _file(workspace(request).page, path)
    if path.startswith("assets/") and response.status == 200:
        response.headers["Cache-Control"] = IMMUTABLE
    return response


def _file(folder: Path, name: str) -> web.StreamResponse:
    """A file inside the folder; 404 for everything else, links out of it included."""
    if "\0" in name:
        return web.Response(status=404)
    path = (folder / name).resolve()
    try:
        is_there = path.is_relative_to(folder.resolve()) and path.is_file()
    except OSError:  # a name longer than any file's
        is_there = False
    if not is_there:
        return web.Response(status=404)
    return web.FileResponse(path, headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
