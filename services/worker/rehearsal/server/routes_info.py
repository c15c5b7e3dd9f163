"""What the engine is and offers: catalogue, models, features, system statistics, and a page that says what this is."""

import os
import sys
from pathlib import PurePosixPath
from typing import Any

from aiohttp import web

from services.worker.rehearsal.server.keys import engine_of
from services.worker.rehearsal.settings import RehearsalSettings

routes = web.RouteTableDef()

COMFYUI_VERSION = "0.33.0"
FRONTEND_VERSION = "1.48.7"
TEMPLATES_VERSION = "0.11.41"

PAGE = """<!doctype html><meta charset="utf-8"><title>Rehearsal engine</title>
<h1>Rehearsal engine</h1>
<p>This stands in for ComfyUI: it speaks the same protocol, but no model runs here.
Core picture nodes do their real work; everything a model would draw is a labelled placeholder.</p>
"""


def features(settings: RehearsalSettings) -> dict[str, Any]:
    """The server's side of the feature negotiation."""
    return {
        "supports_preview_metadata": True,
        "supports_model_type_tags": True,
        "max_upload_size": settings.max_upload_bytes,
        "extension": {"manager": {"supports_v4": True}},
        "node_replacements": True,
        "assets": False,
    }


@routes.get("/")
async def page(request: web.Request) -> web.Response:
    """Say what this is."""
    return web.Response(text=PAGE, content_type="text/html")


@routes.get("/features")
async def get_features(request: web.Request) -> web.Response:
    """What the server can do."""
    return web.json_response(features(engine_of(request).settings))


@routes.get("/system_stats")
async def system_stats(request: web.Request) -> web.Response:
    """Versions and memory of this machine, and that this is a rehearsal."""
    page_size = os.sysconf("SC_PAGE_SIZE")
    total, free = (os.sysconf(name) * page_size for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    system = {
        "os": sys.platform,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": COMFYUI_VERSION,
        "required_frontend_version": FRONTEND_VERSION,
        "installed_templates_version": TEMPLATES_VERSION,
        "required_templates_version": TEMPLATES_VERSION,
        "comfy_package_versions": [
            {"name": "comfyui-workflow-templates", "installed": TEMPLATES_VERSION, "required": TEMPLATES_VERSION}
        ],
        "python_version": sys.version,
        "pytorch_version": "none (rehearsal engine)",
        "embedded_python": False,
        "deploy_environment": "rehearsal",
        "argv": ["rehearsal"],
        "rehearsal": True,
    }
    device = {
        "name": "rehearsal (no model runs)",
        "type": "cpu",
        "index": None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }
    return web.json_response({"system": system, "devices": [device]})


@routes.get("/object_info")
async def object_info(request: web.Request) -> web.Response:
    """The whole catalogue."""
    return web.json_response(engine_of(request).catalogue.object_info())


@routes.get("/object_info/{node_class}")
async def object_info_of(request: web.Request) -> web.Response:
    """One node of the catalogue; empty for an unknown one."""
    catalogue, name = engine_of(request).catalogue, request.match_info["node_class"]
    return web.json_response({name: catalogue.info(name)} if name in catalogue else {})


@routes.get("/models")
async def model_folders(request: web.Request) -> web.Response:
    """The kinds of models."""
    return web.json_response(engine_of(request).models.folders())


@routes.get("/models/{folder}")
async def models_of(request: web.Request) -> web.Response:
    """The model files of one kind."""
    models, folder = engine_of(request).models, request.match_info["folder"]
    if folder not in models.folders():
        return web.Response(status=404)
    return web.json_response(models.names(folder))


@routes.get("/embeddings")
async def embeddings(request: web.Request) -> web.Response:
    """The names of the embeddings."""
    names = engine_of(request).models.names("embeddings")
    return web.json_response([str(PurePosixPath(name).with_suffix("")) for name in names])


@routes.get("/extensions")
async def extensions(request: web.Request) -> web.Response:
    """The node packs' scripts for the page, as addresses."""
    folder = engine_of(request).settings.web_dir
    scripts = sorted(folder.glob("*/**/*.js")) if folder else []
    return web.json_response([f"/extensions/{script.relative_to(folder).as_posix()}" for script in scripts if folder])
