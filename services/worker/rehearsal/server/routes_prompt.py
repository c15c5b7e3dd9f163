"""/ws, /prompt, /queue, /interrupt, /free and /history."""

import math
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web

from services.worker.rehearsal.prompt_queue import QueueItem
from services.worker.rehearsal.server.ids import is_job_id
from services.worker.rehearsal.server.keys import engine_of, read_json, read_object
from services.worker.rehearsal.validation import problem

routes = web.RouteTableDef()

DEEPEST = 100
CREDENTIALS = ("auth_token_comfy_org", "api_key_comfy_org")
"""Fields of extra_data that are neither shown nor kept."""


@routes.get("/ws")
async def websocket(request: web.Request) -> web.StreamResponse:
    """A client's connection."""
    return await engine_of(request).sockets.serve(request)


@routes.get("/prompt")
async def get_prompt(request: web.Request) -> web.Response:
    """How many prompts remain."""
    return web.json_response({"exec_info": {"queue_remaining": engine_of(request).queue.remaining()}})


@routes.post("/prompt")
async def post_prompt(request: web.Request) -> web.Response:
    """Check a prompt and queue it."""
    body = await read_json(request)
    if not isinstance(body, dict):
        body = {}
    engine = engine_of(request)
    try:
        number = _number(engine.numbers, body)
    except (ValueError, TypeError):
        return _refusal(problem("invalid_prompt", "number must be a number", repr(body["number"])))
    if "prompt" not in body:
        return _refusal(problem("no_prompt", "No prompt provided", "No prompt provided"))
    prompt_id = body.get("prompt_id")
    if prompt_id is None:
        prompt_id = str(uuid.uuid4())
    elif not is_job_id(prompt_id):
        details = (
            "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
            "omit it to let the server generate one"
        )
        return _refusal(problem("invalid_prompt_id", "prompt_id must be a valid UUID", details))
    graph = body["prompt"]
    targets = body.get("partial_execution_targets")
    wrong = _malformed(graph) or _malformed_targets(targets) or _too_deep(body)
    if wrong:
        return _refusal(problem("invalid_prompt", "The workflow is not in API form", wrong))
    verdict = engine.validator.validate(graph, targets)
    if verdict.error is not None:
        return _refusal(verdict.error, verdict.node_errors)
    extra_data, sensitive = _extra_data(request, body)
    engine.queue.put(QueueItem(number, prompt_id, graph, extra_data, verdict.outputs, sensitive))
    return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})


def _refusal(error: dict[str, Any], node_errors: dict[str, Any] | None = None) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors or {}}, status=400)


def _number(numbers: Iterator[int], body: dict[str, Any]) -> float:
    """The caller's own number, or the next one; negative, and so before all others, with `front`."""
    if "number" in body:
        own = float(body["number"])
        if not math.isfinite(own):
            raise ValueError("a number must be finite")
        return own
    number = next(numbers)
    return -number if body.get("front") else number


def _malformed(graph: Any) -> str | None:
    """A sentence about a graph that is not even a graph; None when it can be looked at node by node."""
    if not isinstance(graph, dict):
        return "prompt must be an object of nodes by id"
    for node_id, node in graph.items():
        if not isinstance(node, dict):
            return f"node {node_id} must be an object with class_type and inputs"
        if not isinstance(node.get("class_type", ""), str) or not isinstance(node.get("_meta", {}), dict):
            return f"node {node_id} needs a text as class_type, and an object as _meta if it has one"
        if not isinstance(node.get("inputs", {}), dict):
            return f"node {node_id} needs an object called inputs"
    return None


def _malformed_targets(targets: Any) -> str | None:
    if targets is None or (isinstance(targets, list) and all(isinstance(target, str) for target in targets)):
        return None
    return "partial_execution_targets must be a list of node ids, or left out"


def _too_deep(body: Any) -> str | None:
    """What is nested much deeper than any workflow could not be written out again for /queue and /history."""
    level = [body]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return None
    return f"the request is nested more than {DEEPEST} levels deep"


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _extra_data(request: web.Request, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The prompt's extra data, and apart from it the credentials that nobody gets to see."""
    given = body.get("extra_data")
    extra_data = dict(given) if isinstance(given, dict) else {}
    if "client_id" in body:
        extra_data["client_id"] = body["client_id"]
    # What is of the wrong kind here would only fail later, in the middle of the run.
    for key, kind in (("client_id", str), ("extra_pnginfo", dict)):
        if not isinstance(extra_data.get(key), kind):
            extra_data.pop(key, None)
    if request.headers.get("Comfy-Usage-Source"):
        extra_data.setdefault("comfy_usage_source", request.headers["Comfy-Usage-Source"])
    sensitive = {key: extra_data.pop(key) for key in CREDENTIALS if key in extra_data}
    extra_data["create_time"] = int(time.time() * 1000)
    return extra_data, sensitive


@routes.get("/queue")
async def get_queue(request: web.Request) -> web.Response:
    """Running and waiting prompts."""
    queue = engine_of(request).queue
    return web.json_response(
        {
            "queue_running": [item.public() for item in queue.running()],
            "queue_pending": [item.public() for item in queue.waiting()],
        }
    )


@routes.post("/queue")
async def post_queue(request: web.Request) -> web.Response:
    """Drop all or some waiting prompts."""
    body = await read_object(request)
    queue = engine_of(request).queue
    if body.get("clear"):
        queue.wipe()
    for prompt_id in _ids(body.get("delete", [])):
        queue.delete(prompt_id)
    return web.Response()


@routes.post("/interrupt")
async def post_interrupt(request: web.Request) -> web.Response:
    """Stop the running prompt, or a certain one if it runs."""
    engine = engine_of(request)
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None  # ComfyUI takes anything for "whatever runs"
    prompt_id = body.get("prompt_id") if isinstance(body, dict) else None
    if prompt_id:
        engine.queue.if_running(prompt_id, engine.interrupt.ask)
    else:
        engine.interrupt.ask()
    return web.Response()


@routes.post("/free")
async def post_free(request: web.Request) -> web.Response:
    """Unload models and drop kept results before the next prompt."""
    body = await read_object(request)
    for flag in ("unload_models", "free_memory"):
        if body.get(flag):
            engine_of(request).queue.set_flag(flag, True)
    return web.Response()


@routes.get("/history")
async def get_history(request: web.Request) -> web.Response:
    """Finished prompts, oldest first."""
    try:
        max_items = int(request.query["max_items"]) if "max_items" in request.query else None
        offset = int(request.query.get("offset", -1))
    except ValueError:
        return web.Response(status=400, text="max_items and offset must be whole numbers.")
    return web.json_response(engine_of(request).queue.history(max_items, offset))


@routes.get("/history/{prompt_id}")
async def get_history_of(request: web.Request) -> web.Response:
    """One finished prompt; empty while it is not finished."""
    return web.json_response(engine_of(request).queue.history_of(request.match_info["prompt_id"]))


@routes.post("/history")
async def post_history(request: web.Request) -> web.Response:
    """Forget all or some finished prompts."""
    body = await read_object(request)
    queue = engine_of(request).queue
    if body.get("clear"):
        queue.wipe_history()
    for prompt_id in _ids(body.get("delete", [])):
        queue.delete_history(prompt_id)
    return web.Response()


def _ids(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
