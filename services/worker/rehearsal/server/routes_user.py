"""The remaining routes a stock client asks at load; this engine has no users, settings or templates of its own."""

from aiohttp import web

from services.worker.rehearsal.server.keys import engine_of

routes = web.RouteTableDef()


@routes.get("/experiment/models")
async def experiment_models(request: web.Request) -> web.Response:
    """The kinds of models, in the newer form."""
    folders = [
        {"name": name, "folders": [], "extensions": []}
        for name in engine_of(request).models.folders()
        if name not in ("configs", "custom_nodes")
    ]
    return web.json_response(folders)


@routes.get("/experiment/models/{folder}")
async def experiment_models_of(request: web.Request) -> web.Response:
    """The model files of one kind, in the newer form."""
    models, folder = engine_of(request).models, request.match_info["folder"]
    if folder not in models.folders():
        return web.Response(status=404)
    files = [{"name": name, "pathIndex": 0, "modified": 0, "created": 0, "size": 0} for name in models.names(folder)]
    return web.json_response(files)


@routes.get("/users")
async def users(request: web.Request) -> web.Response:
    """That there is one user only."""
    return web.json_response({"storage": "server", "migrated": True})


@routes.get("/settings")
@routes.get("/i18n")
@routes.get("/workflow_templates")
@routes.get("/global_subgraphs")
@routes.get("/node_replacements")
async def nothing(request: web.Request) -> web.Response:
    """Settings, translations and the like: there are none."""
    return web.json_response({})
