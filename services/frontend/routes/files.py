"""Files in and out: `/view`, `/upload/image`, `/upload/mask`. They stream; a picture to be changed is read whole."""

import asyncio
import hashlib
import json
import mimetypes
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from services.domain.errors import InvalidInput, NotFound, PayloadTooLarge
from services.frontend import pictures
from services.frontend.content_types import is_rendered
from services.frontend.own_files import FILE_TYPES, can_be_sent, own_file_path, split_annotation
from services.frontend.workspace import Workspace, json_answer, workspace

routes = web.RouteTableDef()

PASSED_ON = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified")
CHUNK = 2**18
FIELD_BYTES = 2**16
"""Fields of an upload other than the file are names and flags."""

MAX_PARTS = 32
UNIQUE_TRIES = 1000


@routes.get("/view")
async def view(request: web.Request) -> web.StreamResponse:
    """One of the participant's own files: as it is, as a smaller preview, or one of its channels."""
    query = request.query
    if "filename" not in query:
        return web.Response(status=404)
    space = workspace(request)
    kind, subfolder = query.get("type", "output"), query.get("subfolder", "")
    try:
        path = await own_file_path(space, query["filename"], kind, subfolder)
    except InvalidInput:
        return web.Response(status=400)
    channel = query.get("channel", "rgba")
    if "preview" not in query and channel not in ("rgb", "a"):
        return await _pass_on(request, space, path)
    content = await _whole(space, path)
    name = split_annotation(query["filename"])[0].rpartition("/")[2]
    if "preview" in query:
        body, content_type = await asyncio.to_thread(
            pictures.preview, content, query["preview"], query.get("channel", "")
        )
    else:
        change = pictures.colours if channel == "rgb" else pictures.transparency
        body, content_type = await asyncio.to_thread(change, content), "image/png"
    headers = {"Content-Disposition": _disposition(name, attachment=False)}
    return web.Response(body=body, content_type=content_type, headers=headers)


@routes.post("/upload/image")
async def upload_image(request: web.Request) -> web.Response:
    """Store one file among the participant's inputs, as stock names it."""
    return await _upload(request, masked=False)


@routes.post("/upload/mask")
async def upload_mask(request: web.Request) -> web.Response:
    """Store a picture whose transparency was drawn in the mask editor: the original's colours, the upload's alpha."""
    return await _upload(request, masked=True)


async def _pass_on(request: web.Request, space: Workspace, path: str) -> web.StreamResponse:
    """Stream a file through, ranges and conditions included."""
    asked = {name: request.headers[name] for name in ("Range", "If-Range", "If-None-Match") if name in request.headers}
    async with space.queue.stream("GET", path, headers=asked) as answer:
        if answer.status not in (200, 206, 304, 416):
            raise NotFound("filename: there is no such file; look at the job's outputs.")
        headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
        response = web.StreamResponse(status=answer.status, headers=headers | _safe_headers(request))
        await response.prepare(request)
        async for chunk in answer.content.iter_chunked(CHUNK):
            await response.write(chunk)
        await response.write_eof()
        return response


def _safe_headers(request: web.Request) -> dict[str, str]:
    """How the browser may treat the file: content that could run in the page is only ever a download."""
    name = split_annotation(request.query["filename"])[0].rpartition("/")[2]
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    as_picture = kind == "image/svg+xml" and request.headers.get("Sec-Fetch-Dest") == "image"
    dangerous = is_rendered(kind)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Type": kind}
    if dangerous:
        headers |= {"Vary": "Sec-Fetch-Dest", "Cache-Control": "no-store"}
    if dangerous and not as_picture:
        headers["Content-Type"] = "application/octet-stream"
    return headers | {"Content-Disposition": _disposition(name, attachment=dangerous and not as_picture)}


def _disposition(name: str, *, attachment: bool) -> str:
    plain = "".join(character if " " <= character < "\x7f" else "_" for character in name)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    extended = f"; filename*=UTF-8''{quote(name)}" if plain != name else ""
    return f'{"attachment; " if attachment else ""}filename="{escaped}"{extended}'


async def _whole(space: Workspace, path: str) -> bytes:
    async with space.queue.stream("GET", path) as answer:
        if answer.status != 200:
            raise NotFound("filename: there is no such file; look at the job's outputs.")
        if int(answer.headers.get("Content-Length", 0)) > pictures.MAX_PICTURE_BYTES:
            raise PayloadTooLarge("filename: this file is too large to be shown as a picture; download it instead.")
        return await answer.content.read()


async def _upload(request: web.Request, *, masked: bool) -> web.Response:
    """Take the form's fields in whatever order they come.

    The page sends the file first and its subfolder after it, so the file waits on disk until its name is known.
    """
    if not request.content_type.startswith("multipart/"):
        return web.Response(status=400)
    space, fields = workspace(request), dict[str, str]()
    with tempfile.TemporaryFile(dir=space.settings.data_dir) as file:
        filename, digest = "", ""
        async for part in _parts(request):
            if part.name == "image" and part.filename is not None:
                filename = _plain_name(part.filename)
                digest = await _spool(
                    part, file, pictures.MAX_PICTURE_BYTES if masked else space.settings.max_upload_bytes
                )
            elif part.name:
                fields[part.name] = await _field(part)
        if not filename:
            return web.Response(status=400)
        if masked:
            digest = await _draw_mask(space, fields, file)
        return json_answer(await _store(space, file, digest, filename, fields))


async def _parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    """The form's parts, up to a number that no form needs.

    Raises:
        InvalidInput: the body is no form, or one of endlessly many fields.
    """
    try:
        count = 0
        async for part in await request.multipart():
            count += 1
            if count > MAX_PARTS:
                raise InvalidInput(f"form: it has more than {MAX_PARTS} fields; send the file, its name and folder.")
            if isinstance(part, BodyPartReader):
                yield part
    except ValueError as error:
        raise InvalidInput("form: this is not a multipart form that can be read; send the file as one.") from error


def _plain_name(name: str) -> str:
    """The uploaded file's name; it may lead into a folder of the own files and nowhere else.

    Raises:
        InvalidInput: it leads elsewhere, or cannot be a file's name.
    """
    parts = name.split("/")
    if not can_be_sent(name) or "\\" in name or name.startswith("/") or {".", ".."} & set(parts):
        raise InvalidInput("image: the file's name cannot be used; send it under a plain name.")
    return name


async def _field(part: BodyPartReader) -> str:
    content = bytearray()
    while chunk := await part.read_chunk(FIELD_BYTES):
        content += chunk
        if len(content) > FIELD_BYTES:
            raise PayloadTooLarge(f"{part.name}: this is longer than {FIELD_BYTES // 1024} KB; send less.")
    return content.decode(errors="replace")


async def _spool(part: BodyPartReader, file: IO[bytes], limit: int) -> str:
    """Write a part to disk; gives its SHA-256."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    file.truncate()
    while chunk := await part.read_chunk(CHUNK):
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(f"image: the file is larger than {limit // 2**20} MB; make it smaller.")
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


async def _draw_mask(space: Workspace, fields: dict[str, str], file: IO[bytes]) -> str:
    """Replace the uploaded mask by the original picture with the mask's transparency; gives its SHA-256."""
    try:
        reference = json.loads(fields.get("original_ref", ""))
        name, kind = str(reference["filename"]), str(reference.get("type", "output"))
        subfolder = str(reference.get("subfolder") or "")
    except (RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput("original_ref: this does not name the picture that the mask is for.") from error
    original = await _whole(space, await own_file_path(space, name, kind, subfolder))
    file.seek(0)
    content = await asyncio.to_thread(pictures.with_transparency_of, original, file.read())
    file.seek(0)
    file.truncate()
    file.write(content)
    return hashlib.sha256(content).hexdigest()


async def _store(
    space: Workspace, file: IO[bytes], digest: str, filename: str, fields: dict[str, str]
) -> dict[str, Any]:
    """Give the file its name among the inputs and send it there.

    The name is the asked one, or ` (1)` and so on where other content has that; equal content is not stored twice.
    """
    subfolder = fields.get("subfolder", "").strip("/")
    if (
        "\\" in subfolder
        or "\0" in subfolder
        or ".." in subfolder.split("/")
        or fields.get("subfolder", "").startswith("/")
    ):
        raise InvalidInput("subfolder: this leads out of your own files; name a folder inside them.")
    kind = fields.get("type") or "input"
    if kind not in FILE_TYPES:
        raise InvalidInput(f"type: this is none of {', '.join(FILE_TYPES)}; leave it out.")
    folder = "/".join(part for part in ("" if kind == "input" else kind, subfolder) if part)
    stem, ending = Path(filename).stem, Path(filename).suffix
    taken = {entry["name"]: entry["sha256"] for entry in (await space.queue.ask("GET", "/api/inputs"))["inputs"]}
    overwrite = fields.get("overwrite") in ("true", "1")
    for count in range(UNIQUE_TRIES):
        name = f"{stem} ({count}){ending}" if count else filename
        below = f"{folder}/{name}" if folder else name
        if overwrite or taken.get(below, digest) == digest:
            break
    if taken.get(below) != digest:
        file.seek(0)
        await space.queue.put_input(below, file)
    return {"name": name, "subfolder": subfolder, "type": kind}
