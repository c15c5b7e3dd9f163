"""Running a workflow: `POST /prompt`, checked as stock checks it, and given to the central queue."""

import uuid
from typing import Any

import msgspec
from aiohttp import web

from services.domain.errors import InvalidInput
from services.domain.graph_validation import validate
from services.frontend.queue_client import QueueRefusal
from services.frontend.stock_history import SENSITIVE_EXTRA_DATA
from services.frontend.workspace import Workspace, json_answer, json_body, workspace

routes = web.RouteTableDef()


@routes.get("/prompt")
async def queue_counter(request: web.Request) -> web.Response:
    """Stock's queue counter."""
    return json_answer(workspace(request).live.status()["status"])


@routes.post("/prompt")
async def submit(request: web.Request) -> web.Response:
    """Check a graph and queue it; a broken one is answered 400 in ComfyUI's own form."""
    try:
        body = await json_body(request)
    except InvalidInput:
        body = {}
    if "prompt" not in body:
        return _refused("no_prompt", "No prompt provided", "No prompt provided")
    prompt_id = _prompt_id(body.get("prompt_id"))
    if prompt_id is None:
        return _refused(
            "invalid_prompt_id",
            "prompt_id must be a valid UUID",
            "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
            "omit it to let the server generate one",
        )
    space = workspace(request)
    graph, targets = body["prompt"], body.get("partial_execution_targets")
    refusal, node_errors = await _check(space, graph, targets)
    if refusal is not None:
        return json_answer({"error": refusal, "node_errors": node_errors}, 400)
    client_id = str(body.get("client_id") or "")[:128]
    extra_data = body.get("extra_data") if isinstance(body.get("extra_data"), dict) else {}
    envelope: dict[str, Any] = {
        "id": prompt_id,
        "workflow": graph,
        "client_id": client_id,
        "extra_data": {key: value for key, value in (extra_data or {}).items() if key not in SENSITIVE_EXTRA_DATA},
        "front": bool(body.get("front")) or _is_negative(body.get("number")),
    }
    if isinstance(targets, list):
        envelope["partial_execution_targets"] = [str(target) for target in targets]
    try:
        job = await space.queue.submit(msgspec.json.encode(envelope))
    except QueueRefusal as error:
        return json_answer({"error": error.comfy, "node_errors": error.node_errors}, 400)
    if not job["duplicate"]:
        space.live.submitted(job["id"], job["number"], client_id)
    return json_answer({"prompt_id": job["id"], "number": job["number"], "node_errors": node_errors})


async def _check(space: Workspace, graph: Any, targets: Any) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """ComfyUI's `error` and `node_errors`.

    Whether named files exist is left to the queue, which knows them; the participant's files are asked for only where
    something else is wrong and the refusal has to be complete. What is no graph at all is the queue's to refuse, too.
    """
    if not _is_graph(graph) or not await space.catalogue.is_known():
        return None, {}
    catalogue = await space.catalogue.of_graph(graph)
    partial = targets if isinstance(targets, list) else None
    check = validate(graph, catalogue, partial_targets=partial, file_exists=lambda *_: True)
    if check.node_errors:
        names = set(await space.catalogue.input_names())
        check = validate(graph, catalogue, partial_targets=partial, file_exists=names.__contains__)
    return check.error, check.node_errors


def _is_graph(graph: Any) -> bool:
    return isinstance(graph, dict) and all(isinstance(node, dict) for node in graph.values())


def _prompt_id(asked: Any) -> str | None:
    """The id to use: the client's own, if it is a UUID in canonical form, or a fresh one if it named none."""
    if asked is None:
        return str(uuid.uuid4())
    try:
        return asked if isinstance(asked, str) and str(uuid.UUID(asked)) == asked else None
    except ValueError:
        return None


def _is_negative(number: Any) -> bool:
    """Stock's queue puts a negative number before the others."""
    return isinstance(number, int | float) and number < 0


def _refused(kind: str, message: str, details: str) -> web.Response:
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return json_answer({"error": error, "node_errors": {}}, 400)
