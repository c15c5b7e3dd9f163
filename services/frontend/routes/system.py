"""The server about itself: `/system_stats`, `/features`, `/logs`, and the WebSocket."""

import asyncio
import uuid
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from services.domain.errors import LimitReached
from services.frontend.browser_sockets import BrowserSocket
from services.frontend.stock_version import COMFYUI_VERSION, FRONTEND_VERSION
from services.frontend.workspace import Workspace, json_answer, workspace

routes = web.RouteTableDef()

STOCK_UPLOAD_BYTES = 104_857_600
"""ComfyUI's own default; the page warns above the number it is told, so it is told ours where that is larger."""

MAX_MESSAGE_BYTES = 2**16
CLIENT_ID_LENGTH = 128


def features(space: Workspace) -> dict[str, Any]:
    """What this server can do, in stock's words."""
    return {
        "supports_preview_metadata": True,
        "supports_model_type_tags": True,
        "max_upload_size": max(STOCK_UPLOAD_BYTES, space.settings.max_upload_bytes),
        "extension": {"manager": {"supports_v4": False}},
        "node_replacements": True,
        "assets": False,
    }


@routes.get("/features")
async def read_features(request: web.Request) -> web.Response:
    """Stock's feature flags."""
    return json_answer(features(workspace(request)))


@routes.get("/system_stats")
async def system_stats(request: web.Request) -> web.Response:
    """Versions, in stock's form; devices, folders and arguments belong to the workers."""
    system = {
        "os": "linux", "ram_total": 0, "ram_free": 0, "comfyui_version": COMFYUI_VERSION,
        "required_frontend_version": FRONTEND_VERSION, "installed_templates_version": "", "comfy_package_versions": [],
        "required_templates_version": "", "python_version": "", "pytorch_version": "", "embedded_python": False,
        "deploy_environment": "comfyume", "argv": [],
    }  # fmt: skip
    return json_answer({"system": system, "devices": []})


@routes.get("/internal/logs")
async def logs(request: web.Request) -> web.Response:
    """No log leaves the server: it would be everybody's."""
    return json_answer("")


@routes.get("/internal/logs/raw")
async def raw_logs(request: web.Request) -> web.Response:
    """The same, in the form of the page's terminal."""
    return json_answer({"entries": [], "size": {"cols": 80, "rows": 24}})


@routes.patch("/internal/logs/subscribe")
async def subscribe_to_logs(request: web.Request) -> web.Response:
    """Accepted: there is nothing to send."""
    return web.Response()


@routes.get("/internal/folder_paths")
async def folder_paths(request: web.Request) -> web.Response:
    """No path of a host is shown."""
    return json_answer({})


@routes.get("/internal/files/{directory_type}")
async def list_files(request: web.Request) -> web.Response:
    """The participant's own files of one kind, the newest first, annotated as stock does."""
    kind = request.match_info["directory_type"]
    if kind not in ("input", "output", "temp"):
        return json_answer({"error": "Invalid directory type"}, 400)
    names = await workspace(request).catalogue.input_names() if kind == "input" else []
    return json_answer([f"{name} [{kind}]" for name in names])


@routes.get("/ws")
async def socket(request: web.Request) -> web.WebSocketResponse:
    """ComfyUI's WebSocket: status at once, the state of what runs, then everything as it happens."""
    space = workspace(request)
    if space.sockets.are_too_many():
        raise LimitReached("Too many tabs of this workspace are open; close some, then reload the page.")
    response = web.WebSocketResponse(heartbeat=30, max_msg_size=MAX_MESSAGE_BYTES)
    await response.prepare(request)
    tab = BrowserSocket(response, request.query.get("clientId", "")[:CLIENT_ID_LENGTH] or uuid.uuid4().hex)
    space.sockets.add(tab)
    writer = asyncio.create_task(tab.write_until_closed())
    try:
        space.live.greet(tab)
        first = True
        async for message in response:
            if first and message.type is WSMsgType.TEXT:  # stock takes feature flags as the first message only
                first = not _negotiate(space, tab, message.data)
    finally:
        space.sockets.remove(tab)
        writer.cancel()
    return response


def _negotiate(space: Workspace, tab: BrowserSocket, message: str) -> bool:
    """Answer a client's feature flags; False where the message was no JSON, which stock does not count."""
    try:
        content = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return False
    match content:
        case {"type": "feature_flags", "data": dict(flags)}:
            tab.takes_preview_metadata = flags.get("supports_preview_metadata") is True
            tab.send("feature_flags", features(space))
    return True
