"""What every HTTP service of the workshop has in common: request ids, one form of errors, a bounded access log,
metrics.

Knows the error classes of the domain and nothing else of the business. Routes raise; `install_error_handlers`
renders.
"""

import errno
import json
import re
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter, Histogram
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.domain.errors import InvalidInput, StorageFull, Unavailable, WorkflowRejected, WorkshopError
from services.kit.logs import get_logger

log = get_logger(__name__)

REQUESTS = Counter("comfyume_http_requests", "Answered requests.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "comfyume_http_request_seconds",
    "Time until a request was answered, long polls included.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_LINES_PER_SECOND = 20.0
_PROBES = ("/healthz", "/readyz")
"""Asked every few seconds by machines that act on the answer; not worth a line each."""
_FRAMEWORK_CODES = {401: "not_signed_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


class LogBudget:
    """A bucket of log lines: at most `rate` a second in the long run, so that a flood of requests is no flood of
    lines.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate
        self._at = time.monotonic()
        self.dropped = 0

    def take(self) -> bool:
        """Whether one more line may be written now; counts the ones that may not."""
        now = time.monotonic()
        self._left = min(self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            self.dropped += 1
            return False
        self._left -= 1
        return True


_budget = LogBudget(_LINES_PER_SECOND)


def log_request(method: str, route: str, status: int, seconds: float) -> None:
    """Write the access line of one request: refusals and failures within the budget, successes at level debug."""
    if status < 400 or route in _PROBES:
        log.debug("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))
        return
    if _budget.take():
        dropped, _budget.dropped = _budget.dropped, 0
        extra = {"lines_dropped": dropped} if dropped else {}
        log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **extra)


def as_workshop_error(error: Exception) -> WorkshopError | None:
    """Translate what the store throws into the error that the caller should see; None for a bug of ours."""
    if isinstance(error, WorkshopError):
        return error
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return Unavailable("The queue's store does not answer at the moment; send the same request again.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("The disk has no room left; delete jobs or input files, or tell the operator.")
    if isinstance(error, RedisError):
        text = str(error)
        if "OOM" in text or "maxmemory" in text or "MISCONF" in text:
            return StorageFull(
                "The queue's store is full; wait until jobs have ended, or delete old ones, and try again."
            )
        if text.startswith(("LOADING", "READONLY", "BUSY", "MASTERDOWN")):
            return Unavailable("The queue's store is starting or busy; send the same request again.")
    return None


def error_body(error: WorkshopError) -> bytes:
    """Render `{"error", "detail"}`, with `node_errors` and `comfy` when a workflow was refused."""
    body: dict[str, Any] = {"error": error.code, "detail": error.message}
    if isinstance(error, WorkflowRejected):
        body |= {"node_errors": error.node_errors, "comfy": error.comfy}
    return json.dumps(body).encode()


def error_response(error: WorkshopError) -> Response:
    """The answer for a refused request."""
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    if error.status in (429, 503):
        headers["retry-after"] = "1"
    return Response(error_body(error), error.status, headers, "application/json")


def _plain(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps({"error": code, "detail": detail}).encode(), status, headers, "application/json")


def unexpected(error: Exception, request_id: str) -> Response:
    """Log a bug of ours with its traceback and answer 500 with nothing of it but the request's id."""
    log.error("unexpected error", request_id=request_id, exc_info=error)
    detail = f"The service failed to carry this out; its log names the cause under request {request_id}."
    return _plain(500, "internal", detail)


def render_error(error: Exception, request_id: str) -> Response:
    """The answer for whatever a route raised."""
    known = as_workshop_error(error)
    return error_response(known) if known is not None else unexpected(error, request_id)


async def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it; the access log does
    return render_error(error, cast(str, request.scope.get("request_id", "")))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, WorkshopError):
        return error_response(error.__cause__)
    if error.status_code == 404:
        detail = "There is nothing at this address; GET /openapi.json lists what there is."
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"This address does not take {request.method}; use {allowed}."
    elif error.status_code == 400:
        return error_response(InvalidInput("The body could not be read; send JSON in UTF-8 as application/json."))
    else:
        detail = str(error.detail)
    return _plain(error.status_code, _FRAMEWORK_CODES.get(error.status_code, "refused"), detail, error.headers)


def invalid_sentence(error: RequestValidationError) -> str:
    """One sentence about the first field that is wrong: where it stands, its name, what is expected."""
    first = error.errors()[0]
    place, *path = [str(part) for part in first.get("loc", ())] or ["body"]
    expected = str(first.get("msg", "not valid")).removeprefix("Value error, ").rstrip(".")
    if not path:
        return f"The {place} is not valid: {expected}; send a JSON value of the documented form as application/json."
    kind = {"body": "field", "query": "query parameter", "header": "header", "path": "part of the address"}
    name = ascii(".".join(path))[1:-1][:120]
    if first.get("type") == "missing":
        return f"The {kind.get(place, place)} {name} is missing; add it."
    return f"The {kind.get(place, place)} {name} is not valid: {expected}."


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(InvalidInput(invalid_sentence(error)))


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` in the one form."""
    for kind in (WorkshopError, RedisError, OSError, ClientDisconnect, RecursionError):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)


def new_request_id() -> str:
    """A short random id that ties an answer to its log lines."""
    return secrets.token_hex(8)


class RequestContext:
    """ASGI middleware: gives each request its id, catches what no handler knew, counts and logs the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request; sockets and lifespan pass through untouched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope["request_id"] = _given_request_id(scope) or new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            if status:
                # The answer has begun: the server cuts the connection, which is the only way left to say "broken".
                log.warning("answer broken off", error=type(error).__name__)
                raise
            await unexpected(error, request_id)(scope, receive, send_with_id)
        finally:
            record(scope["method"], _route_of(scope), status, time.perf_counter() - started)
            structlog.contextvars.unbind_contextvars("request_id")


@lru_cache(maxsize=4096)
def _meters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)


def record(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request and write its access line."""
    count, time_taken = _meters(method if method in _METHODS else "OTHER", route, status)
    count.inc()
    time_taken.observe(seconds)
    log_request(method, route, status, seconds)


def _route_of(scope: Scope) -> str:
    """The address's pattern, never the address itself: the number of label values stays bounded."""
    return str(getattr(scope.get("route"), "path", "unknown"))


def _given_request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _REQUEST_ID.fullmatch(text) else None
    return None
