"""/upload/image, /upload/mask and /view."""

import asyncio
import io
import json
import mimetypes
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from services.worker.rehearsal.folders import Folders, OutsideFolder, inside
from services.worker.rehearsal.server.keys import engine_of

routes = web.RouteTableDef()

ACTIVE_TYPES = {
    "text/html",
    "text/html-sandboxed",
    "application/xhtml+xml",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "text/css",
    "image/svg+xml",
    "application/xml",
    "text/xml",
    "message/rfc822",
}
"""Content a browser may run; it is offered for download only."""


# --- upload ------------------------------------------------------------------------------------------------------


@routes.post("/upload/image")
async def upload_image(request: web.Request) -> web.Response:
    """Take a file in."""
    form = await request.post()
    field = form.get("image")
    if not isinstance(field, FileField):
        return web.Response(status=400)
    content = await asyncio.to_thread(field.file.read)
    return await asyncio.to_thread(_store, engine_of(request).folders, dict(form), field.filename, content)


@routes.post("/upload/mask")
async def upload_mask(request: web.Request) -> web.Response:
    """Take a mask in and join it with the picture it was drawn on."""
    form = await request.post()
    field = form.get("image")
    if not isinstance(field, FileField):
        return web.Response(status=400)
    folders = engine_of(request).folders
    try:
        reference = json.loads(str(form.get("original_ref")))
        original = find_file(
            folders, reference["filename"], reference.get("type", "output"), reference.get("subfolder") or None
        )
        content = await asyncio.to_thread(_with_alpha_of, original, await asyncio.to_thread(field.file.read))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return web.Response(status=400)
    except Refused as refused:
        return web.Response(status=refused.status)
    return await asyncio.to_thread(_store, folders, dict(form), field.filename, content)


def _store(folders: Folders, form: dict[str, Any], filename: str, content: bytes) -> web.Response:
    """Write an upload. The same content under the same name is not written again; other content gets a new name."""
    kind = str(form.get("type", "input"))
    subfolder = str(form.get("subfolder", ""))
    base = folders.of_type(kind)
    if base is None or not filename:
        return web.Response(status=400)
    try:
        folder = inside(base, subfolder)
        target = inside(base, str(folder / filename))
    except OutsideFolder:
        return web.Response(status=400)
    folder.mkdir(parents=True, exist_ok=True)
    if form.get("overwrite") not in ("true", "1"):
        number = 1
        while target.exists() and target.read_bytes() != content:
            plain = Path(filename)
            filename_numbered = f"{plain.stem} ({number}){plain.suffix}"
            target = folder / filename_numbered
            number += 1
    target.write_bytes(content)
    return web.json_response({"name": target.name, "subfolder": subfolder, "type": kind})


def _with_alpha_of(original: Path, mask: bytes) -> bytes:
    """The original picture as PNG with the mask's alpha channel in place of its own; its text chunks stay."""
    info = PngInfo()
    with Image.open(original) as picture, Image.open(io.BytesIO(mask)) as drawn:
        for key, value in getattr(picture, "text", {}).items():
            info.add_text(key, value)
        result = picture.convert("RGBA")
        result.putalpha(drawn.convert("RGBA").getchannel("A"))
    buffer = io.BytesIO()
    result.save(buffer, "PNG", compress_level=4, pnginfo=info)
    return buffer.getvalue()


# --- view --------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """A file may not be looked at; carries the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def find_file(folders: Folders, filename: str, kind: str, subfolder: str | None) -> Path:
    """The file that /view is asked for. Raises Refused: 400 for a bad name, 403 for a subfolder outside, 404."""
    name, folder = folders.annotated(filename)
    if not name or name[0] == "/" or ".." in name:
        raise Refused(400)
    folder = folder or folders.of_type(kind)
    if folder is None:
        raise Refused(400)
    try:
        if subfolder is not None:
            folder = inside(folder, subfolder)
    except OutsideFolder as error:
        raise Refused(403) from error
    try:
        file = inside(folder, Path(name).name)
    except OutsideFolder as error:
        raise Refused(404) from error
    if not file.is_file():
        raise Refused(404)
    return file


@routes.get("/view")
async def view(request: web.Request) -> web.StreamResponse:
    """Show a file, or a picture in another form."""
    query = request.query
    if "filename" not in query:
        return web.Response(status=404)
    folders = engine_of(request).folders
    try:
        file = find_file(folders, query["filename"], query.get("type", "output"), query.get("subfolder"))
        if "preview" in query:
            return await asyncio.to_thread(_preview, file, query["preview"], query.get("channel", ""))
        if query.get("channel") in ("rgb", "a"):
            return await asyncio.to_thread(_channel, file, query["channel"])
    except Refused as refused:
        return web.Response(status=refused.status)
    except UnidentifiedImageError:
        return web.Response(status=400, text="The file is no picture; ask without preview and channel.")
    return _whole_file(request, file)


def _preview(file: Path, wish: str, channel: str) -> web.Response:
    """The picture as WebP or JPEG; `wish` is "format;quality"."""
    kind, *rest = wish.split(";")
    if kind not in ("webp", "jpeg") or "a" in channel:
        kind = "webp"
    last = rest[-1] if rest else kind
    quality = min(int(last), 100) if last.isdecimal() else 90
    with Image.open(file) as picture:
        shown = picture.convert("RGB") if kind == "jpeg" or channel == "rgb" else picture
        return _picture_answer(shown, kind, file.name, quality=quality)


def _channel(file: Path, channel: str) -> web.Response:
    """Only the colours, or only the alpha channel, as PNG."""
    with Image.open(file) as picture:
        if channel == "rgb":
            colours = Image.merge("RGB", picture.split()[:3]) if picture.mode == "RGBA" else picture.convert("RGB")
            return _picture_answer(colours, "png", file.name)
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else Image.new("L", picture.size, 255)
        shown = Image.new("RGBA", picture.size)
        shown.putalpha(alpha)
        return _picture_answer(shown, "png", file.name)


def _picture_answer(picture: Image.Image, kind: str, name: str, **options: Any) -> web.Response:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    headers = {"Content-Disposition": _disposition(name)}
    return web.Response(body=buffer.getvalue(), content_type=f"image/{kind}", headers=headers)


def _whole_file(request: web.Request, file: Path) -> web.StreamResponse:
    content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": _disposition(file.name)}
    if content_type in ACTIVE_TYPES or content_type.endswith(("+xml", "/xml")):
        headers |= {"Vary": "Sec-Fetch-Dest", "Cache-Control": "no-store"}
        as_picture = content_type == "image/svg+xml" and request.headers.get("Sec-Fetch-Dest") == "image"
        if not as_picture:
            content_type = "application/octet-stream"
            headers["Content-Disposition"] = f"attachment; {_disposition(file.name)}"
    headers["Content-Type"] = content_type
    return web.FileResponse(file, headers=headers)


def _disposition(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'filename="{escaped}"'
