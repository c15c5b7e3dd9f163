"""Serving a file out of a folder of the installation: nothing outside it, no guessed types."""

from pathlib import Path

from aiohttp import web


def file_answer(folder: Path, name: str) -> web.StreamResponse:
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
