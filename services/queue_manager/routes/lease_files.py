"""The files of a running job, from its worker's side: inputs down, outputs and previews up. All take X-Lease-Token."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from services.domain.job import OutputFile
from services.kit.strict_json import announced_length, read_body
from services.queue_manager.dependencies import AsWorker, Inputs, JobId, Jobs, LeaseToken, Outputs, PreviewRelay
from services.queue_manager.files.outputs import checked_place
from services.queue_manager.files.paths import LONGEST_NAME
from services.queue_manager.files.serving import FILE_ANSWERS, send_file

router = APIRouter(prefix="/api/leases/{job_id}", tags=["leases"])

MAX_PREVIEW_BYTES = 4 << 20

_RAW_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Sha256 = Annotated[str, Path(description="digest as the lease names it", max_length=64, examples=["0" * 64])]


@router.get("/inputs/{sha256}", summary="Fetch an input", responses=FILE_ANSWERS, response_class=Response)
async def get_lease_input(
    job_id: JobId, token: LeaseToken, sha256: Sha256, request: Request, _who: AsWorker, jobs: Jobs, inputs: Inputs
) -> Response:
    """One of the files that the leased job names; ranges are supported."""
    owner = await jobs.holds_lease(job_id, token)
    path = await inputs.content(owner, sha256)
    return await send_file(request, path, name=sha256, sha256=sha256)


@router.put("/outputs", status_code=201, summary="Upload an output", openapi_extra=_RAW_BODY)
async def put_output(
    job_id: JobId,
    token: LeaseToken,
    request: Request,
    _who: AsWorker,
    outputs: Outputs,
    node_id: Annotated[str, Query(max_length=200)],
    kind: Annotated[str, Query(max_length=50, examples=["images"])],
    type_: Annotated[str, Query(alias="type", max_length=10, examples=["output"])],
    filename: Annotated[str, Query(max_length=LONGEST_NAME, examples=["ComfyUI_00001_.png"])],
    subfolder: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
    x_content_sha256: Annotated[str, Header(max_length=64)] = "",
) -> OutputFile:
    """Store the body as one output of this attempt; the owner sees it when the job completes."""
    place = checked_place(node_id, kind, type_, subfolder, filename)
    return await outputs.stage(
        job_id,
        token,
        place,
        request.stream(),
        announced=announced_length(request),
        expected_sha256=x_content_sha256,
    )


@router.post("/preview", status_code=204, summary="Relay a preview", openapi_extra=_RAW_BODY)
async def relay_preview(
    job_id: JobId, token: LeaseToken, request: Request, _who: AsWorker, jobs: Jobs, previews: PreviewRelay
) -> None:
    """Pass ComfyUI's binary frame on to whoever watches now; it is not kept."""
    owner = await jobs.holds_lease(job_id, token)
    await previews.relay(owner, job_id, await read_body(request, MAX_PREVIEW_BYTES))
