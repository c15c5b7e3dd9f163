"""Input files: a participant's uploads by name. Everybody sees and changes his own only."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from services.domain.job import InputFile
from services.kit.strict_json import announced_length
from services.queue_manager.dependencies import AsSubmitter, Inputs
from services.queue_manager.files.paths import LONGEST_NAME, checked_name
from services.queue_manager.files.serving import FILE_ANSWERS, send_file
from services.queue_manager.schemas import InputList

router = APIRouter(prefix="/api/inputs", tags=["inputs"])

InputName = Annotated[
    str,
    Path(
        description="name as workflows use it; folders are allowed",
        max_length=LONGEST_NAME,
        examples=["portraits/anna.png"],
    ),
]

_RAW_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", summary="List one's uploads")
async def list_inputs(who: AsSubmitter, inputs: Inputs) -> InputList:
    """Your own uploads by name."""
    return InputList(inputs=await inputs.names(who.name))


@router.put("/{name:path}", status_code=201, summary="Upload a file", openapi_extra=_RAW_BODY)
async def put_input(name: InputName, request: Request, who: AsSubmitter, inputs: Inputs) -> InputFile:
    """Store the body under a name; replaces an earlier upload of that name, which jobs already submitted keep."""
    checked_name(name, "name")
    return await inputs.put(who.name, name, request.stream(), announced_length(request))


@router.head("/{name:path}", summary="Look at an upload", responses=FILE_ANSWERS, response_class=Response)
@router.get("/{name:path}", summary="Download an upload", responses=FILE_ANSWERS, response_class=Response)
async def get_input(name: InputName, request: Request, who: AsSubmitter, inputs: Inputs) -> Response:
    """The file, or one range of it; its SHA-256 is the ETag."""
    file, path = await inputs.find(who.name, checked_name(name, "name"))
    return await send_file(request, path, name=name, sha256=file.sha256)


@router.delete("/{name:path}", status_code=204, summary="Delete an upload")
async def delete_input(name: InputName, who: AsSubmitter, inputs: Inputs) -> None:
    """Forget a name; unfinished jobs that need the file still get it."""
    await inputs.delete(who.name, checked_name(name, "name"))
