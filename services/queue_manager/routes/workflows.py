"""Workflows for all: the instructor publishes, everybody's web UI offers them in its template list."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from services.kit.strict_json import read_body
from services.queue_manager.dependencies import AsReader, AsRoom, Published
from services.queue_manager.published_workflows import MAX_WORKFLOW_BYTES, NAME_PATTERN
from services.queue_manager.schemas import PublishedView, WorkflowList

router = APIRouter(prefix="/api/workflows", tags=["workflows"])

WorkflowName = Annotated[
    str, Path(pattern=NAME_PATTERN, description="name in the template list", examples=["Lesson 1"])
]
_CANVAS = {"application/json": {"schema": {"type": "object"}}}


@router.get("", summary="List the published workflows")
async def list_workflows(_who: AsReader, published: Published) -> WorkflowList:
    """What was published, by name."""
    files = await asyncio.to_thread(published.list)
    return WorkflowList(workflows=[PublishedView.model_validate(file, from_attributes=True) for file in files])


@router.get(
    "/{name}",
    summary="Read a published workflow",
    response_class=Response,
    responses={200: {"content": _CANVAS, "description": "The workflow as it was published."}},
)
async def get_workflow(name: WorkflowName, _who: AsReader, published: Published) -> Response:
    """A saved canvas, byte for byte; whoever opens it works on a copy."""
    content, digest = await asyncio.to_thread(published.read, name)
    headers = {"etag": f'"{digest}"', "cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
    return Response(content, headers=headers, media_type="application/json")


@router.put(
    "/{name}",
    status_code=204,
    summary="Publish a workflow",
    openapi_extra={"requestBody": {"required": True, "content": _CANVAS}},
)
async def put_workflow(name: WorkflowName, request: Request, _who: AsRoom, published: Published) -> None:
    """Offer a saved canvas to everybody, in place of an earlier one of that name."""
    await asyncio.to_thread(published.write, name, await read_body(request, MAX_WORKFLOW_BYTES))


@router.delete("/{name}", status_code=204, summary="Take a published workflow back")
async def delete_workflow(name: WorkflowName, _who: AsRoom, published: Published) -> None:
    """Offer it no longer; the copies that participants saved stay theirs."""
    await asyncio.to_thread(published.remove, name)
