"""Output files of ended jobs, for their owner."""

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response

from services.domain.job import OutputFile
from services.kit.strict_json import StrictRoute
from services.queue_manager.dependencies import AsReader, JobId, Jobs, Outputs, visible_job
from services.queue_manager.files.paths import LONGEST_NAME
from services.queue_manager.files.serving import FILE_ANSWERS, send_file
from services.queue_manager.schemas import OutputList, OutputView

router = APIRouter(prefix="/api/jobs/{job_id}/outputs", tags=["outputs"], route_class=StrictRoute)

FileType = Annotated[Literal["output", "temp"], Path(alias="type", description="ComfyUI's folder")]
FilePath = Annotated[
    str,
    Path(
        description="subfolder/filename as ComfyUI named it", max_length=LONGEST_NAME, examples=["ComfyUI_00001_.png"]
    ),
]


@router.get("", summary="List a job's outputs")
async def list_outputs(job_id: JobId, who: AsReader, jobs: Jobs) -> OutputList:
    """What the job produced; empty until it has succeeded."""
    job = await visible_job(jobs, job_id, who)
    return OutputList(outputs=[OutputView(**dict(file), url=_url(job_id, file)) for file in job.outputs])


@router.head("/{type}/{path:path}", summary="Look at an output", responses=FILE_ANSWERS, response_class=Response)
@router.get("/{type}/{path:path}", summary="Download an output", responses=FILE_ANSWERS, response_class=Response)
async def get_output(
    job_id: JobId, type_: FileType, path: FilePath, request: Request, who: AsReader, jobs: Jobs, outputs: Outputs
) -> Response:
    """The file, or one range of it; its SHA-256 is the ETag. Files that a browser could run are only downloaded."""
    job = await visible_job(jobs, job_id, who)
    file, location = await outputs.find(job, type_, path)
    return await send_file(request, location, name=file.filename, sha256=file.sha256)


def _url(job_id: str, file: OutputFile) -> str:
    path = "/".join(part for part in (file.type, file.subfolder, file.filename) if part)
    return f"/api/jobs/{job_id}/outputs/{quote(path)}"
