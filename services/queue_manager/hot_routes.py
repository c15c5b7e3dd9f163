"""The routes that everything waits for (submit, lease, a worker's messages), without what ordinary routes cost.

They are plain ASGI applications, listed among the application's routes like all others, but reached before the
middleware: a dictionary look-up instead of the routing, no validation models, no dependency graph. What the
middleware and the gates do for the other routes is done here by hand: credential, role, errors in the one form,
metrics, access line.
"""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast

import msgspec
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.domain.errors import Conflict, Forbidden, InvalidInput
from services.domain.names import Role, is_name
from services.kit.clock import now_ms
from services.kit.http_service import new_request_id, record, render_error
from services.kit.strict_json import MAX_JSON_BYTES, decode_json, too_large
from services.queue_manager import metrics
from services.queue_manager.dependencies import State, check_role
from services.queue_manager.intake import idempotency_key, read_job
from services.queue_manager.leasing import LEASE_MEDIA_TYPE, encode_lease
from services.queue_manager.relaying import decode_messages

MAX_WAIT_SECONDS = 30.0
MAX_LEASE_BODY = 64 << 10
_JSON = b"application/json"
_SUBMITTERS = (Role.PARTICIPANT, Role.INSTRUCTOR)
_WORKERS = (Role.WORKER,)


class Answer(NamedTuple):
    """What a hot route answers."""

    status: int
    body: bytes
    media_type: bytes = _JSON


class Head(NamedTuple):
    """The headers that the hot routes look at."""

    authorization: bytes | None
    length: int
    idempotency_key: bytes | None
    lease_token: bytes | None


Work = Callable[[State, Scope, Receive], Awaitable[Answer]]


class HotRoute:
    """One hot route as an ASGI application: carries `work` out and answers, whatever comes of it."""

    def __init__(self, path: str, work: Work) -> None:
        self.path = path
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, body, media_type = await self._work(cast(State, scope["state"]), scope, receive)
        except ClientDisconnect:
            return
        except Exception as error:
            request_id = new_request_id()
            response = render_error(error, request_id)
            status, body, media_type = response.status_code, bytes(response.body), _JSON
            kept = (b"www-authenticate", b"retry-after")
            extra = [(b"x-request-id", request_id.encode()), *(h for h in response.raw_headers if h[0] in kept)]
        headers = extra
        if status != 204:
            headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        record("POST", self.path, status, time.perf_counter() - started)


class HotRoutes(FastAPI):
    """A FastAPI application that looks at its hot routes first."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request, socket or lifespan."""
        if scope["type"] == "http" and scope["method"] == "POST":
            hot = _hot(scope["path"])
            if hot is not None:
                await hot(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def read_head(scope: Scope) -> Head:
    """Pick the few headers out of the request in one pass; raises InvalidInput for a bad Content-Length."""
    authorization = key = lease_token = None
    length = 0
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"content-length":
            if not value.isdigit() or len(value) > 18:
                raise InvalidInput("The header Content-Length is not a number of bytes.")
            length = int(value)
        elif name == b"idempotency-key":
            key = value
        elif name == b"x-lease-token":
            lease_token = value
    return Head(authorization, length, key, lease_token)


async def read_all(receive: Receive, length: int, limit: int) -> bytes:
    """Read the body; raises PayloadTooLarge as soon as more than `limit` bytes are announced or have come."""
    if length > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def submit(state: State, scope: Scope, receive: Receive) -> Answer:
    """POST /api/jobs."""
    head = read_head(scope)
    who = check_role(state["credentials"].identify_header(head.authorization), _SUBMITTERS)
    body = await read_all(receive, head.length, state["settings"].max_workflow_bytes)
    key = idempotency_key(head.idempotency_key)
    job = await read_job(state["parity"], who, body, key)
    enqueued = await state["jobs"].enqueue(job, now_ms())
    if enqueued.duplicate:
        return Answer(200, msgspec.json.encode(enqueued))
    metrics.SUBMITTED.inc()
    metrics.WAITING.submitted(enqueued.id)
    return Answer(202, msgspec.json.encode(enqueued))


class LeaseRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a lease."""

    worker: str
    wait_seconds: float = 0.0
    loaded_model: str | None = None


async def lease(state: State, scope: Scope, receive: Receive) -> Answer:
    """POST /api/leases."""
    head = read_head(scope)
    who = check_role(state["credentials"].identify_header(head.authorization), _WORKERS)
    asked = decode_lease_request(await read_all(receive, head.length, MAX_LEASE_BODY))
    if asked.worker != who.name:
        raise Forbidden(f"This credential speaks for the worker {who.name} only; send that name.")
    workers = state["workers"]
    if not await workers.is_known(who.name):
        raise Conflict(f"The worker {who.name} is not registered; PUT /api/workers/{who.name} first.")
    workers.seen(who.name, now_ms())
    started = time.perf_counter()
    model = asked.loaded_model or ""
    claimed = await state["leasing"].claim(who.name, model)
    metrics.CLAIM_SECONDS.observe(time.perf_counter() - started)
    if claimed is None and asked.wait_seconds > 0:
        claimed = await state["bell"].wait(who.name, model, asked.wait_seconds, until_gone(receive))
    if claimed is None:
        return Answer(204, b"")
    workers.took(who.name, claimed[0].job_id, model)
    metrics.LEASED.inc()
    metrics.WAITING.leased(claimed[0].job_id)
    return Answer(200, encode_lease(*claimed), LEASE_MEDIA_TYPE.encode())


async def relay(state: State, scope: Scope, receive: Receive) -> Answer:
    """POST /api/leases/{job_id}/events."""
    head = read_head(scope)
    check_role(state["credentials"].identify_header(head.authorization), _WORKERS)
    if not head.lease_token:
        raise InvalidInput("The header X-Lease-Token is missing; send the lease's token.")
    data = decode_messages(await read_all(receive, head.length, MAX_JSON_BYTES))
    job_id = scope["path"].split("/")[3]
    owner = await state["jobs"].holds_lease(job_id, head.lease_token.decode("latin-1"))
    await state["jobs"].publish_many(owner, job_id, "job.progress", data, now_ms())
    return Answer(204, b"")


async def until_gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


_lease_request = msgspec.json.Decoder(LeaseRequest)


def decode_lease_request(body: bytes) -> LeaseRequest:
    """Read the body of a lease; raises InvalidInput."""
    value = decode_json(body)
    try:
        asked = msgspec.convert(value, LeaseRequest)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The body is not valid: {str(error).replace('`', '')}.") from None
    if not is_name(asked.worker):
        raise InvalidInput("The field worker must be the worker's name, as in its credential.")
    if not 0 <= asked.wait_seconds <= MAX_WAIT_SECONDS:
        raise InvalidInput(f"The field wait_seconds must be 0 to {MAX_WAIT_SECONDS:g}.")
    if asked.loaded_model and len(asked.loaded_model) > 200:
        raise InvalidInput("The field loaded_model is longer than 200 characters.")
    return asked


_RELAY = HotRoute("/api/leases/{job_id}/events", relay)
HOT = {route.path: route for route in (HotRoute("/api/jobs", submit), HotRoute("/api/leases", lease), _RELAY)}


def _hot(path: str) -> HotRoute | None:
    if path.startswith("/api/leases/") and path.endswith("/events") and path.count("/") == 4:
        return _RELAY
    return HOT.get(path)
