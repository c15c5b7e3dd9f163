"""The nodes and models that the workers have; kept when no worker runs."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from services.kit.strict_json import read_body
from services.queue_manager.catalogue_store import MAX_CATALOGUE_BYTES
from services.queue_manager.dependencies import AsReader, AsWorker, Catalogues, Now
from services.queue_manager.routes.workers import WorkerName, check_own_name

router = APIRouter(prefix="/api", tags=["catalogue"])

_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "ComfyUI's /object_info"},
    304: {"description": "The catalogue is still the one with that ETag."},
}


@router.get("/catalogue", summary="Read the nodes", responses=_ANSWERS, response_class=Response)
async def get_catalogue(
    _who: AsReader, catalogues: Catalogues, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Every node class of any worker, in the form of ComfyUI's /object_info; combos name the models of all workers."""
    known = catalogues.known
    headers = {"etag": known.etag, "cache-control": "private, no-cache"}
    if if_none_match is not None and known.etag in [tag.strip() for tag in if_none_match.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(known.body, headers=headers, media_type="application/json")


@router.get("/catalogue/models", summary="List the models")
async def get_models(_who: AsReader, catalogues: Catalogues) -> dict[str, list[str]]:
    """The model files of all workers by ComfyUI's folder."""
    return dict(catalogues.known.models)


@router.put(
    "/workers/{name}/catalogue",
    status_code=204,
    tags=["workers"],
    summary="Publish a worker's nodes",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def put_catalogue(name: WorkerName, request: Request, who: AsWorker, catalogues: Catalogues, now: Now) -> None:
    """Take in the answer of ComfyUI's /object_info; its SHA-256 must be the one that the worker registered."""
    check_own_name(who, name)
    await catalogues.store(name, await read_body(request, MAX_CATALOGUE_BYTES), now)
