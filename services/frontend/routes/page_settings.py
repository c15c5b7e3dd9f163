"""The page's settings, users and translations: `/settings`, `/users`, `/i18n`."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from services.domain.errors import Forbidden
from services.frontend.stock_version import FRONTEND_VERSION
from services.frontend.user_files import UserFiles
from services.frontend.workspace import json_answer, json_body, json_value, workspace

routes = web.RouteTableDef()

SETTINGS_FILE = "comfy.settings.json"
FIRST_SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": FRONTEND_VERSION,
    "Comfy.Workflow.WorkflowTabsPosition": "Topbar",
}
"""What a new participant starts with: without the first, a template browser hides the Run button at the first visit."""

_changing = asyncio.Lock()


def read_settings(files: UserFiles) -> dict[str, Any]:
    """The participant's settings; the first ones where there are none, or where the file is damaged."""
    path = files.path_of(SETTINGS_FILE)
    try:
        settings = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, RecursionError):
        return dict(FIRST_SETTINGS)
    return settings if isinstance(settings, dict) else dict(FIRST_SETTINGS)


@routes.get("/settings")
async def all_settings(request: web.Request) -> web.Response:
    """All settings of the page."""
    return json_answer(read_settings(workspace(request).files))


@routes.get("/settings/{id}")
async def one_setting(request: web.Request) -> web.Response:
    """One setting; null where it was never set."""
    return json_answer(read_settings(workspace(request).files).get(request.match_info["id"]))


@routes.post("/settings")
async def change_settings(request: web.Request) -> web.Response:
    """Change several settings and keep the others."""
    return await _change(workspace(request).files, await json_body(request))


@routes.post("/settings/{id}")
async def change_setting(request: web.Request) -> web.Response:
    """Change one setting; the body is its value."""
    value = await json_value(request)
    return await _change(workspace(request).files, {request.match_info["id"]: value})


async def _change(files: UserFiles, changes: dict[str, Any]) -> web.Response:
    async with _changing:
        files.write(SETTINGS_FILE, msgspec.json.encode(read_settings(files) | changes))
    return web.Response()


@routes.get("/users")
async def users(request: web.Request) -> web.Response:
    """Stock's single-user answer: there is no profile to pick here."""
    return json_answer({"storage": "server", "migrated": True})


@routes.post("/users")
async def add_user(request: web.Request) -> web.Response:
    """Refused: people are added by the workshop's operator."""
    raise Forbidden("People are added by the workshop's operator, not in the page.")


@routes.get("/i18n")
async def translations(request: web.Request) -> web.Response:
    """Translations of node packs: the workers publish none."""
    return json_answer({})
