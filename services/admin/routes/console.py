"""The page, and the files that it loads."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from services.admin.door import AsStaff
from services.admin.pages import HEADERS, HERE, page
from services.domain.errors import NotFound

router = APIRouter()

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FILES = {file.name: file for file in sorted((HERE / "static").iterdir()) if file.suffix in _TYPES}


@router.get("/")
async def console(request: Request, who: AsStaff) -> Response:
    """The console."""
    title = request.state.settings.workshop_title
    return page("console.html", title=title, name=who.name, role=who.role.value)


@router.get("/static/{name}")
async def static_file(name: str, _who: AsStaff) -> Response:
    """One of the page's own files; asked for again each time, and mostly not sent again."""
    file = _FILES.get(name)
    if file is None:
        raise NotFound("There is no such file here; reload the console.")
    return FileResponse(file, media_type=_TYPES[file.suffix], headers=HEADERS | {"Cache-Control": "no-cache"})
