"""The words of the API's documentation, and the hot routes' part of it, which FastAPI cannot see by itself."""

from typing import Any

from fastapi import FastAPI

from services.queue_manager.intake import MAX_CLIENT_ID, MAX_IDEMPOTENCY_KEY, MAX_LABEL, MAX_TARGET, MAX_TARGETS
from services.queue_manager.leasing import LEASE_MEDIA_TYPE
from services.queue_manager.relaying import MAX_MESSAGES, MAX_TYPE
from services.queue_manager.schemas import ErrorAnswer

DESCRIPTION = """
Jobs go `queued -> running -> succeeded | failed | cancelled | dead`. A participant submits ComfyUI graphs and sees
nobody else's; workers take them under a *lease*, keep it by *heartbeat*, and report how they ended.

Every request carries `Authorization: Bearer <token>`; who you are and what you may do follows from the token alone.
Every refusal is `{"error": word, "detail": sentence}`. A job of somebody else and one that does not exist are the same:
404. All times are unix milliseconds.
"""

TAGS = [
    {"name": "jobs", "description": "Submit, follow, cancel, requeue and delete one's own jobs."},
    {"name": "inputs", "description": "Files that workflows load, kept by content."},
    {"name": "outputs", "description": "What jobs produced; ranges are supported."},
    {"name": "events", "description": "What happens to one's jobs, live and resumable."},
    {"name": "catalogue", "description": "The nodes and models that the workers have."},
    {"name": "workflows", "description": "What the instructor published to all."},
    {"name": "room", "description": "What the instructor sees and switches."},
    {"name": "credentials", "description": "Who may speak; the operator adds, rotates and removes."},
    {"name": "workers", "description": "Workers come, say what they have, drain and leave."},
    {"name": "leases", "description": "A job from its worker's side."},
    {"name": "health", "description": "Alive, ready, numbers."},
]


def _refusal(description: str) -> dict[str, Any]:
    return {"description": description, "model": ErrorAnswer}


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: _refusal("No credential, or one that is not known (any more)."),
    403: _refusal("The credential's role does not allow this."),
    404: _refusal("No such thing, or it is somebody else's."),
    409: _refusal("The thing is in a state that does not allow this; `lease_lost` for an old lease token."),
    413: _refusal("The body is too large."),
    422: _refusal("A field is missing or wrong; the sentence names it."),
    503: _refusal("The queue's store does not answer; send the same request again."),
    507: _refusal("The queue's store is full."),
}

_UUID = {"type": "string", "format": "uuid", "pattern": "^[0-9a-f-]{36}$"}
_GRAPH = {"1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}}}
_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["workflow"],
    "additionalProperties": False,
    "properties": {
        "workflow": {
            "type": "object",
            "description": "The graph in ComfyUI's API format. Kept and delivered byte for byte.",
            "additionalProperties": {
                "type": "object",
                "required": ["class_type", "inputs"],
                "properties": {"class_type": {"type": "string"}, "inputs": {"type": "object"}},
            },
            "example": _GRAPH,
        },
        "id": {**_UUID, "description": "Your own UUID for the job, in lower case; one is made otherwise."},
        "client_id": {"type": "string", "maxLength": MAX_CLIENT_ID},
        "label": {"type": "string", "maxLength": MAX_LABEL, "description": "A word for people."},
        "extra_data": {"type": "object", "description": "ComfyUI's extra_data. Kept and delivered byte for byte."},
        "partial_execution_targets": {
            "type": "array",
            "maxItems": MAX_TARGETS,
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_TARGET},
            "description": "Run only what these output nodes need.",
        },
        "front": {"type": "boolean", "default": False, "description": "To the front of one's own line."},
        "priority": {"$ref": "#/components/schemas/Priority", "description": "Only the instructor may set it."},
    },
    "example": {"workflow": _GRAPH, "label": "first try"},
}
_LEASE_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["worker"],
    "additionalProperties": False,
    "properties": {
        "worker": {"type": "string", "description": "The worker's name, as in its credential.", "example": "gpu-1"},
        "wait_seconds": {"type": "number", "minimum": 0, "maximum": 30, "default": 0},
        "loaded_model": {"type": ["string", "null"], "maxLength": 200, "description": "What it has loaded."},
    },
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _refused(*statuses: int) -> dict[str, Any]:
    extra = {
        400: "The workflow cannot run anywhere; see node_errors.",
        429: "A cap is reached; the sentence names it.",
    }
    return {
        str(status): {
            "description": extra.get(status) or REFUSALS[status]["description"],
            "content": _json(_ref("ErrorAnswer")),
        }
        for status in statuses
    }


_SUBMIT: dict[str, Any] = {
    "tags": ["jobs"],
    "summary": "Submit a job",
    "description": "Take one workflow in. The same Idempotency-Key, or the same id, answers with the same job again.",
    "operationId": "submit_job",
    "security": [{"HTTPBearer": []}],
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Your own name for this request; a repeat of it takes nothing in a second time.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY, "pattern": "^[!-~]+$"},
        }
    ],
    "requestBody": {"required": True, "content": _json(_ENVELOPE)},
    "responses": {
        "202": {"description": "Taken in.", "content": _json(_ref("EnqueuedView"))},
        "200": {"description": "It was taken in before.", "content": _json(_ref("EnqueuedView"))},
        **_refused(400, 401, 403, 409, 413, 422, 429, 503, 507),
    },
}
_LEASE: dict[str, Any] = {
    "tags": ["leases"],
    "summary": "Take a job",
    "description": "Lease the next job for this worker; with wait_seconds, wait for one.",
    "operationId": "lease_job",
    "security": [{"HTTPBearer": []}],
    "requestBody": {"required": True, "content": _json(_LEASE_BODY)},
    "responses": {
        "200": {
            "description": "Four bytes (big-endian) with the length of the Lease, the Lease as JSON, "
            'then `{"workflow": ..., "extra_data": ...}` as it was submitted.',
            "content": {LEASE_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        "204": {"description": "Nothing to do within the time."},
        **_refused(401, 403, 409, 413, 422, 503),
    },
}


_RELAY: dict[str, Any] = {
    "tags": ["leases"],
    "summary": "Relay ComfyUI's messages",
    "description": "Pass progress messages on to the owner's events, in order.",
    "operationId": "relay_messages",
    "security": [{"HTTPBearer": []}],
    "parameters": [
        {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}},
        {
            "name": "X-Lease-Token",
            "in": "header",
            "required": True,
            "description": "token of the lease, from POST /api/leases",
            "schema": {"type": "string", "minLength": 1, "maxLength": 100},
        },
    ],
    "requestBody": {
        "required": True,
        "content": _json(
            {
                "type": "array",
                "maxItems": MAX_MESSAGES,
                "items": {
                    "type": "object",
                    "required": ["type"],
                    "additionalProperties": False,
                    "properties": {
                        "type": {"type": "string", "minLength": 1, "maxLength": MAX_TYPE, "example": "progress_state"},
                        "data": {"type": "object", "default": {}},
                    },
                },
            }
        ),
    },
    "responses": {"204": {"description": "Passed on."}, **_refused(401, 403, 409, 413, 422, 503)},
}


def install(app: FastAPI) -> None:
    """Let `app.openapi()` include the hot routes."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        fresh = app.openapi_schema is None
        schema = generate()
        if fresh:
            paths = schema["paths"]
            paths.setdefault("/api/jobs", {})["post"] = _SUBMIT
            paths.setdefault("/api/leases", {})["post"] = _LEASE
            paths.setdefault("/api/leases/{job_id}/events", {})["post"] = _RELAY
            schema["paths"] = dict(sorted(paths.items()))
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
