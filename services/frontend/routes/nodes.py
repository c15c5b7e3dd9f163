"""Nodes and models as the page reads them, from what the workers published; no host path among them."""

from typing import Any

from aiohttp import web

from services.frontend.workspace import json_answer, workspace

routes = web.RouteTableDef()

MODEL_ENDINGS = [".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"]


@routes.get("/object_info")
async def all_nodes(request: web.Request) -> web.Response:
    """Every node class of any worker."""
    body = await workspace(request).catalogue.object_info()
    return web.Response(body=body, content_type="application/json")


@routes.get("/object_info/{node_class}")
async def one_node(request: web.Request) -> web.Response:
    """One node class; an empty object where no worker has it."""
    body = await workspace(request).catalogue.object_info(request.match_info["node_class"])
    return web.Response(body=body, content_type="application/json")


@routes.get("/models")
async def model_folders(request: web.Request) -> web.Response:
    """The names of the model folders."""
    return json_answer(list(await workspace(request).catalogue.models()))


@routes.get("/models/{folder}")
async def models_in_folder(request: web.Request) -> web.Response:
    """The models of one folder."""
    models = await workspace(request).catalogue.models()
    folder = request.match_info["folder"]
    return json_answer(models[folder]) if folder in models else web.Response(status=404)


@routes.get("/experiment/models")
async def model_folders_in_detail(request: web.Request) -> web.Response:
    """The model folders with the endings that they hold; where they lie on a worker is not said."""
    folders: list[dict[str, Any]] = [
        {"name": name, "folders": [name], "extensions": MODEL_ENDINGS}
        for name in await workspace(request).catalogue.models()
    ]
    return json_answer(folders)


@routes.get("/experiment/models/{folder}")
async def models_in_detail(request: web.Request) -> web.Response:
    """The models of one folder with the facts that are known here: their names."""
    models = await workspace(request).catalogue.models()
    folder = request.match_info["folder"]
    if folder not in models:
        return web.Response(status=404)
    return json_answer([{"name": name, "pathIndex": 0} for name in models[folder]])


@routes.get("/experiment/models/preview/{folder}/{path_index}/{filename:.*}")
async def model_preview(request: web.Request) -> web.Response:
    """Pictures beside the models stay on the workers."""
    return web.Response(status=404)


@routes.get("/view_metadata/{folder_name}")
async def model_metadata(request: web.Request) -> web.Response:
    """Headers of model files stay on the workers."""
    return web.Response(status=404)


@routes.get("/embeddings")
async def embeddings(request: web.Request) -> web.Response:
    """The embeddings' names, without their endings."""
    models = await workspace(request).catalogue.models()
    return json_answer([name.rpartition(".")[0] or name for name in models.get("embeddings", [])])


@routes.get("/node_replacements")
async def node_replacements(request: web.Request) -> web.Response:
    """Replacements of renamed nodes: the workers publish none."""
    return json_answer({})


@routes.get("/global_subgraphs")
async def subgraphs(request: web.Request) -> web.Response:
    """Shared subgraphs: the workers publish none."""
    return json_answer({})


@routes.get("/global_subgraphs/{id}")
async def subgraph(request: web.Request) -> web.Response:
    """One shared subgraph: there is none."""
    return web.Response(status=404)
