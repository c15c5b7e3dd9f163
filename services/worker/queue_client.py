"""The worker's side of the queue manager's HTTP interface.

Responsible for addresses, tokens, status codes and patience: every verb that ends a job is repeated until it is
answered or the lease is lost. What to tell the queue manager is decided by the agent and the job run.
"""

import re
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import tenacity

from services.domain.errors import LeaseLost, NotSignedIn, StorageFull, Unavailable, WorkshopError
from services.domain.job import JobError, Lease, OutputFile
from services.kit.logs import get_logger

LEASE_TYPE = "application/x-comfyume-lease"
_log = get_logger(__name__)

_ANSWER_SECONDS = 30.0
"""Longest wait for an answer beyond the time that a request asks to be parked."""


class NotRegistered(WorkshopError):
    """The queue manager does not know this worker's profile (any more); register first."""

    status = 409
    code = "not_registered"


@dataclass(frozen=True)
class Registration:
    """The answer to a registration."""

    catalogue_needed: bool
    extensions_needed: bool
    lease_seconds: float


@dataclass(frozen=True)
class Beat:
    """The answer to a heartbeat: when the lease ends (unix ms), and why the job is to stop, if it is."""

    expires_at: int
    stop: str | None


@dataclass(frozen=True)
class LeasedJob:
    """A lease with the job's body, `{"workflow": ..., "extra_data": ...}` as raw JSON."""

    lease: Lease
    body: bytes


def patiently() -> tenacity.AsyncRetrying:
    """Repeat for ever while the queue manager is away: quickly at first, every 2 s later."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type((httpx.TransportError, Unavailable)),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0, min=0.05),
        before_sleep=_say_waiting,
        reraise=True,
    )


def _say_waiting(state: tenacity.RetryCallState) -> None:
    if state.attempt_number in (1, 10) or state.attempt_number % 100 == 0:
        error = state.outcome.exception() if state.outcome else None
        _log.warning("queue manager does not answer, trying again", attempt=state.attempt_number, error=repr(error))


class QueueClient:
    """Speaks to one queue manager as one worker."""

    def __init__(self, base_url: str, name: str, read_token: Callable[[], str]) -> None:
        self.name = name
        self._read_token = read_token
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=5.0),
            headers={"Authorization": f"Bearer {read_token()}"},
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def renew_token(self) -> None:
        """Take the credential anew from where it is kept."""
        self._http.headers["Authorization"] = f"Bearer {self._read_token()}"

    # The worker itself --------------------------------------------------------------------------------------

    async def register(self, profile: dict[str, Any]) -> Registration:
        """Tell the queue manager what this worker is; raises NotSignedIn or Forbidden for a wrong credential."""
        answer = await self._send("PUT", f"/api/workers/{self.name}", json=profile)
        data = answer.json()
        needed = bool(data["catalogue_needed"]), bool(data.get("extensions_needed"))
        return Registration(*needed, float(data["lease_seconds"]))

    async def upload_catalogue(self, catalogue: bytes) -> None:
        """Hand over the raw node catalogue that the registration named by its hash."""
        await self._send(
            "PUT",
            f"/api/workers/{self.name}/catalogue",
            content=catalogue,
            headers={"Content-Type": "application/json"},
        )

    async def upload_extensions(self, bundle: bytes) -> None:
        """Hand over the node packs' page files that the registration named by their hash."""
        await self._send(
            "PUT",
            f"/api/workers/{self.name}/extensions",
            content=bundle,
            headers={"Content-Type": "application/json"},
        )

    async def set_draining(self, draining: bool) -> None:
        """Say whether this worker takes further jobs."""
        await self._send("PUT", f"/api/workers/{self.name}/draining", json={"draining": draining})

    async def leave(self) -> None:
        """Take this worker off the list."""
        await self._send("DELETE", f"/api/workers/{self.name}")

    async def lease(self, wait_seconds: float, loaded_model: str) -> LeasedJob | None:
        """Ask for a job and wait up to `wait_seconds` for one; raises NotRegistered when the profile is unknown."""
        answer = await self._send(
            "POST",
            "/api/leases",
            json={"worker": self.name, "wait_seconds": wait_seconds, "loaded_model": loaded_model},
            timeout=wait_seconds + _ANSWER_SECONDS,
        )
        return None if answer.status_code == 204 else parse_lease(answer.content)

    # One job ------------------------------------------------------------------------------------------------

    async def heartbeat(self, lease: Lease, wait_seconds: float) -> Beat:
        """Extend the lease; parked up to `wait_seconds`, answered at once when the job is to stop."""
        answer = await self._send(
            "POST",
            f"/api/leases/{lease.job_id}/heartbeat",
            lease=lease,
            params={"wait": wait_seconds},
            timeout=wait_seconds + _ANSWER_SECONDS,
        )
        data = answer.json()
        return Beat(int(data["expires_at"]), data.get("stop"))

    async def events(self, lease: Lease, messages: Sequence[bytes]) -> None:
        """Hand over ComfyUI's messages in their order, each `{"type": ..., "data": ...}` as JSON."""
        await self._send(
            "POST",
            f"/api/leases/{lease.job_id}/events",
            lease=lease,
            content=b"[" + b",".join(messages) + b"]",
            headers={"Content-Type": "application/json"},
        )

    async def preview(self, lease: Lease, frame: bytes) -> None:
        """Hand over one binary frame as ComfyUI sent it."""
        await self._send(
            "POST",
            f"/api/leases/{lease.job_id}/preview",
            lease=lease,
            content=frame,
            headers={"Content-Type": "application/octet-stream"},
        )

    async def upload_output(
        self, lease: Lease, place: dict[str, str], content: AsyncIterator[bytes], size: int | None
    ) -> OutputFile:
        """Stream one output file; `place` has node_id, kind, type, subfolder and filename. Returns what was stored."""
        headers = {"Content-Type": "application/octet-stream"}
        if size is not None:
            headers["Content-Length"] = str(size)
        answer = await self._send(
            "PUT",
            f"/api/leases/{lease.job_id}/outputs",
            lease=lease,
            params=place,
            content=content,
            headers=headers,
            timeout=httpx.Timeout(300.0, connect=5.0),  # a large file is hashed and synced before the answer
        )
        return OutputFile.model_validate_json(answer.content)

    def open_input(self, lease: Lease, sha256: str) -> tuple[httpx.AsyncClient, str, dict[str, str]]:
        """Client, address and headers to download one input by its content hash."""
        return self._http, f"/api/leases/{lease.job_id}/inputs/{sha256}", {"X-Lease-Token": lease.token}

    async def complete(self, lease: Lease, result: dict[str, Any]) -> str:
        """Record the job's success, however long that takes; returns its state. Raises LeaseLost."""
        return await self._end(lease, "complete", result)

    async def fail(self, lease: Lease, error: JobError, *, retryable: bool) -> str:
        """Record a failure; a retryable one puts the job back until its attempts are used up. Raises LeaseLost."""
        return await self._end(lease, "fail", {"error": error.model_dump(), "retryable": retryable})

    async def cancelled(self, lease: Lease) -> str:
        """Record that the job was stopped because its owner or the instructor asked for it. Raises LeaseLost."""
        return await self._end(lease, "cancelled", {})

    async def give_back(self, lease: Lease, reason: str) -> None:
        """Return the job unfinished; the attempt is not counted. Raises LeaseLost."""
        await self._end(lease, "return", {"reason": reason})

    async def _end(self, lease: Lease, verb: str, body: dict[str, Any]) -> str:
        async for attempt in patiently():
            with attempt:
                answer = await self._send(
                    "POST",
                    f"/api/leases/{lease.job_id}/{verb}",
                    lease=lease,
                    content=msgspec.json.encode(body),
                    headers={"Content-Type": "application/json"},
                )
        state = answer.json().get("state", "") if answer.content else ""
        return str(state)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        lease: Lease | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if lease is not None:
            sent["X-Lease-Token"] = lease.token
        answer = await self._http.request(method, path, headers=sent, **kwargs)
        if answer.is_error:
            raise error_of(answer)
        return answer


def parse_lease(content: bytes) -> LeasedJob:
    """Take apart a lease answer: 4 bytes length (big-endian), the Lease as JSON, then the job's raw body."""
    (length,) = struct.unpack_from(">I", content)
    return LeasedJob(Lease.model_validate_json(content[4 : 4 + length]), content[4 + length :])


def error_of(answer: httpx.Response) -> WorkshopError:
    """The domain error that an error answer stands for, with the sentence it carries."""
    try:
        data = answer.json()
        code, detail = str(data.get("error", "")), str(data.get("detail", ""))
    except (ValueError, AttributeError):
        code, detail = "", answer.text[:200]
    detail = detail or f"The queue manager answered {answer.status_code}."
    if code == LeaseLost.code or (answer.status_code == 404 and re.search(r"/leases/[^/]+/[a-z]+$", answer.url.path)):
        return LeaseLost(detail)  # 404: the job itself is gone (a missing input's address goes on after /inputs)
    if answer.status_code in (401, 403):
        return NotSignedIn(detail)
    if answer.status_code == 409 and answer.url.path.endswith("/api/leases"):
        return NotRegistered(detail)
    if answer.status_code == 507:
        return StorageFull(detail)
    if answer.status_code >= 500 or answer.status_code == 429:
        return Unavailable(detail)
    return WorkshopError(detail)
