"""Page files of the workers' node packs: a worker publishes its own, web UIs read them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from services.domain.extension_files import MAX_BUNDLE_BYTES, MAX_NAME_LENGTH
from services.kit.strict_json import read_body
from services.queue_manager.dependencies import AsReader, AsWorker, Extensions, Now
from services.queue_manager.files.serving import FILE_ANSWERS, send_file
from services.queue_manager.routes.workers import WorkerName, check_own_name
from services.queue_manager.schemas import ExtensionList

router = APIRouter(prefix="/api", tags=["catalogue"])

FileName = Annotated[str, Path(description="pack and file", max_length=MAX_NAME_LENGTH, examples=["my-pack/widget.js"])]
_BUNDLE = {
    "type": "object",
    "additionalProperties": {"type": "string", "contentEncoding": "base64"},
    "example": {"my-pack/widget.js": "Ly8gYSB3aWRnZXQ="},
}


@router.get("/extensions", summary="List the node packs' page files")
async def list_extensions(_who: AsReader, extensions: Extensions) -> ExtensionList:
    """Every file that a worker's node packs bring for the page, with the SHA-256 of its content."""
    return ExtensionList(files=await extensions.listing())


@router.get("/extensions/{name:path}", summary="Read a page file", responses=FILE_ANSWERS, response_class=Response)
async def get_extension(name: FileName, request: Request, _who: AsReader, extensions: Extensions) -> Response:
    """One file. Given as a download only: a web UI serves it to its page."""
    digest, path = await extensions.find(name)
    return await send_file(request, path, name=name, sha256=digest)


@router.put(
    "/workers/{name}/extensions",
    status_code=204,
    tags=["workers"],
    summary="Publish a worker's page files",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _BUNDLE}}}},
)
async def put_extensions(name: WorkerName, request: Request, who: AsWorker, extensions: Extensions, now: Now) -> None:
    """Take in the files of all node packs of this worker; they replace what it published before."""
    check_own_name(who, name)
    await extensions.store(name, await read_body(request, MAX_BUNDLE_BYTES), now)
