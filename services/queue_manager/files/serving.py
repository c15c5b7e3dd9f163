"""Sending a file: whole or one range of it, to a browser that must not run it.

Starlette's FileResponse streams; this module decides about ranges, caching and types before it does. Several ranges in
one request, and ranges that make no sense, are answered with the whole file, as RFC 9110 allows.
"""

import json
import mimetypes
import os
import re
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

_RUNS_IN_BROWSERS = re.compile(r"html|xml|svg|script|css|rfc822", re.IGNORECASE)
"""Types that a browser would execute or render with script; they are only ever downloaded."""


FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "One range of the file."},
    304: {"description": "The file is still the one with that ETag."},
    416: {"description": "The range lies behind the end of the file."},
}
"""What `send_file` answers, for the documentation."""


class _StreamedFile(FileResponse):
    chunk_size = 256 * 1024
    whole = False
    """Whether the request's header Range is to be ignored."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.whole:
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"range"]}
        await super().__call__(scope, receive, send)


async def send_file(request: Request, path: Path, *, name: str, sha256: str) -> Response:
    """Answer a GET or HEAD with the file at `path`, called `name`; its digest is the ETag."""
    etag = f'"{sha256}"'
    headers = {"etag": etag, "cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    stat_result = await anyio.to_thread.run_sync(os.stat, path)
    media_type, attachment = _media_type(name)
    response = _StreamedFile(
        path,
        headers=headers,
        media_type=media_type,
        filename=name.rsplit("/", 1)[-1],
        stat_result=stat_result,
        content_disposition_type="attachment" if attachment else "inline",
    )
    wanted = request.headers.get("range")
    if wanted is None:
        return response
    start = _first_byte(wanted, stat_result.st_size)
    response.whole = start is None
    if start is not None and start >= stat_result.st_size and request.headers.get("if-range", etag) == etag:
        return _unsatisfiable(stat_result.st_size)
    return response


def _media_type(name: str) -> tuple[str, bool]:
    """Return the type to announce, and whether the file may only be downloaded."""
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if _RUNS_IN_BROWSERS.search(guessed):
        return "application/octet-stream", True
    return guessed, not guessed.startswith(("image/", "video/", "audio/", "text/plain"))


def _first_byte(wanted: str, size: int) -> int | None:
    """Read the header Range; None for anything but one sensible range."""
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:
        return size if int(last) == 0 else max(size - int(last), 0)
    return None if last and int(last) < int(first) else int(first)


def _unsatisfiable(size: int) -> Response:
    detail = f"The header Range asks for bytes behind the end; the file has {size} bytes."
    body = json.dumps({"error": "range_not_satisfiable", "detail": detail}).encode()
    return Response(body, 416, {"content-range": f"bytes */{size}"}, "application/json")
