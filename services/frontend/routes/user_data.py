"""The participant's own files as the page reads and writes them: `/userdata` and `/v2/userdata`.

A file's name is one path segment, its slashes encoded: `workflows%2Fportrait.json`.
"""

import mimetypes
from dataclasses import asdict
from typing import Any

from aiohttp import web

from services.domain.errors import NotFound
from services.frontend.content_types import is_rendered
from services.frontend.user_files import UserFiles
from services.frontend.workspace import json_answer, workspace

routes = web.RouteTableDef()

PAGE_STYLE = "user.css"


@routes.get("/userdata")
async def list_files(request: web.Request) -> web.Response:
    """The files of a folder: names, name parts (`split`) or facts (`full_info`)."""
    folder = request.query.get("dir", "")
    if not folder:
        return web.Response(status=400, text="Directory not provided")
    found = workspace(request).files.list(folder, recurse=_flag(request, "recurse"))
    if _flag(request, "full_info"):
        return json_answer([asdict(file) for file in found])
    if _flag(request, "split"):
        return json_answer([[file.path, *file.path.split("/")] for file in found])
    return json_answer([file.path for file in found])


@routes.get("/v2/userdata")
async def list_tree(request: web.Request) -> web.Response:
    """Files and folders below a path, folders first."""
    files, folder = workspace(request).files, request.query.get("path", "")
    return json_answer(_tree(files, folder))


@routes.get("/userdata/{file}")
async def read_file(request: web.Request) -> web.StreamResponse:
    """One file, always as a download, but for the participant's own style sheet."""
    name = request.match_info["file"]
    path = workspace(request).files.existing(name)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if name == PAGE_STYLE:
        kind, disposition = "text/css", "inline"
    else:
        disposition = "attachment"
        kind = "application/octet-stream" if is_rendered(kind) else kind
    headers = {"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Content-Disposition": disposition}
    return web.FileResponse(path, headers=headers)


@routes.post("/userdata/{file}")
async def write_file(request: web.Request) -> web.Response:
    """Save a file; 409 where it exists and `overwrite=false`."""
    files, content = workspace(request).files, await request.read()
    overwrite = request.query.get("overwrite") != "false"
    path = files.write(request.match_info["file"], content, overwrite=overwrite)
    return _saved(request, files, path)


@routes.delete("/userdata/{file}")
async def delete_file(request: web.Request) -> web.Response:
    """Remove a file."""
    workspace(request).files.delete(request.match_info["file"])
    return web.Response(status=204)


@routes.post("/userdata/{file}/move/{dest}")
async def move_file(request: web.Request) -> web.Response:
    """Rename a file, also into another folder."""
    files = workspace(request).files
    overwrite = request.query.get("overwrite") != "false"
    path = files.move(request.match_info["file"], request.match_info["dest"], overwrite=overwrite)
    return _saved(request, files, path)


def _saved(request: web.Request, files: UserFiles, path: Any) -> web.Response:
    described = files.describe(path)
    answer = json_answer(asdict(described) if _flag(request, "full_info") else described.path)
    warning = files.warning()
    if warning:
        workspace(request).sockets.broadcast("workshop", {"event": "quota", "message": warning})
    return answer


def _tree(files: UserFiles, folder: str) -> list[dict[str, Any]]:
    root = files.path_of(".") if not folder else files.path_of(folder)
    if not root.is_dir():
        raise NotFound("path: there is no such folder; look at the list again.")
    base, entries = files.path_of("."), []
    for path in root.rglob("*"):
        if path.is_symlink():
            continue
        entry: dict[str, Any] = {"name": path.name, "path": path.relative_to(base).as_posix()}
        if path.is_dir():
            entries.append(entry | {"type": "directory"})
        else:
            status = path.stat()
            entries.append(entry | {"type": "file", "size": status.st_size, "modified": status.st_mtime})
    return sorted(entries, key=lambda entry: (entry["type"] != "directory", entry["name"].lower()))


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() == "true"
