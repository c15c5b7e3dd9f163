"""What a web UI asks of the queue manager, one method a question.

Speaks HTTP with this participant's credential only. Answers are the queue manager's own JSON; translating them into
ComfyUI's forms is `stock_history` and the routes.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import aiohttp
import msgspec

from services.domain.errors import (
    Conflict,
    InvalidInput,
    LimitReached,
    NotFound,
    NotSignedIn,
    PayloadTooLarge,
    StorageFull,
    Unavailable,
    WorkflowRejected,
    WorkshopError,
)

_BY_STATUS: dict[int, type[WorkshopError]] = {
    400: WorkflowRejected, 401: NotSignedIn, 404: NotFound, 409: Conflict, 413: PayloadTooLarge,
    422: InvalidInput, 429: LimitReached, 507: StorageFull,
}  # fmt: skip


def is_job_id(text: Any) -> bool:
    """Whether this is a job's id as the queue writes it: anything else must not become part of an address."""
    try:
        return isinstance(text, str) and str(uuid.UUID(text)) == text
    except ValueError:
        return False


class QueueRefusal(WorkflowRejected):
    """The queue manager refused a workflow; `comfy` is ComfyUI's own `error` object, as the stock page shows it."""

    def __init__(self, message: str, comfy: dict[str, Any], node_errors: dict[str, Any]) -> None:
        super().__init__(message, node_errors=node_errors)
        self.comfy = comfy


class QueueClient:
    """One session to the queue manager; open it as an async context manager."""

    def __init__(self, url: str, token_file: Path) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._token: tuple[int, str] = (0, "")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "QueueClient":
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=120)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        """The credential, read again when its file changed, so that a rotation needs no restart."""
        try:
            stamp = self._token_file.stat().st_mtime_ns
            if stamp != self._token[0]:
                self._token = (stamp, self._token_file.read_text().strip())
        except OSError as error:
            raise Unavailable("The workspace's own credential cannot be read; tell the instructor.") from error
        return {"Authorization": f"Bearer {self._token[1]}"}

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, data: Any = None,
        params: dict[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:  # fmt: skip
        """One request whose answer the caller reads himself, whatever its status.

        Raises:
            Unavailable: the queue manager does not answer.
        """
        assert self._session is not None, "open the client first"
        try:
            async with self._session.request(
                method, self._url + path, headers=self._headers() | (headers or {}), data=data, params=params
            ) as response:
                yield response
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise Unavailable("The queue does not answer at the moment; try again shortly.") from error

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, params: dict[str, str] | None = None
    ) -> Any:
        """One request with a JSON answer.

        Raises:
            WorkshopError: the queue manager's refusal, as the class of its status.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        async with self.stream(method, path, headers=headers, data=body, params=params) as response:
            content = await response.read()
        if response.status >= 400:
            raise _refusal(response.status, content)
        return msgspec.json.decode(content) if content else None

    @asynccontextmanager
    async def events(self, after: str | None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The participant's own event socket, from just behind event `after`; None: only what comes now."""
        assert self._session is not None, "open the client first"
        params = {"after": after} if after else {}
        async with self._session.ws_connect(
            self._url + "/api/events/ws", headers=self._headers(), params=params, heartbeat=20, max_msg_size=2**25
        ) as socket:
            yield socket

    async def submit(self, envelope: bytes) -> dict[str, Any]:
        """Put one job into the queue; the envelope is the queue manager's own form."""
        answer: dict[str, Any] = await self.ask("POST", "/api/jobs", body=envelope)
        return answer

    async def jobs(self, states: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest jobs in these states (comma-separated), newest first."""
        found: list[dict[str, Any]] = []
        before: str | None = None
        while len(found) < limit:
            params = {"state": states, "limit": str(min(100, limit - len(found)))}
            page = await self.ask("GET", "/api/jobs", params=params | ({"before": str(before)} if before else {}))
            found += page["jobs"]
            before = page["next"]
            if not before:
                break
        return found

    async def job(self, job_id: str) -> dict[str, Any] | None:
        """One job; None where it is unknown or somebody else's."""
        if not is_job_id(job_id):
            return None
        try:
            answer: dict[str, Any] = await self.ask("GET", f"/api/jobs/{job_id}")
        except (NotFound, InvalidInput):
            return None
        return answer

    async def workflow(self, job_id: str) -> dict[str, Any]:
        """The submitted `{"workflow", "extra_data"}` of a job; empty when it is gone."""
        try:
            answer: dict[str, Any] = await self.ask("GET", f"/api/jobs/{job_id}/workflow")
        except NotFound:
            return {}
        return answer

    async def cancel(self, job_id: str) -> bool:
        """Ask for the end of one own job; False where there was nothing to cancel."""
        job = await self.job(job_id)
        if job is None or job["state"] not in ("queued", "running"):
            return False
        await self.ask("POST", f"/api/jobs/{job_id}/cancel")
        return True

    async def put_input(self, name: str, file: IO[bytes]) -> None:
        """Store a file among the participant's inputs; it is streamed from where it stands."""
        async with self.stream("PUT", f"/api/inputs/{quote(name)}", data=file) as response:
            content = await response.read()
        if response.status >= 400:
            raise _refusal(response.status, content)

    async def wait_until_ready(self, stop: asyncio.Event) -> None:
        """Return when the queue manager answers, or when `stop` is set."""
        while not stop.is_set():
            try:
                async with self.stream("GET", "/readyz") as response:
                    if response.status == 200:
                        return
            except Unavailable:
                pass
            await asyncio.sleep(0.2)


def _refusal(status: int, content: bytes) -> WorkshopError:
    try:
        answer = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        answer = {}
    detail = str(answer.get("detail") or "The queue refused this and gave no reason.")
    if "comfy" in answer:
        return QueueRefusal(detail, answer["comfy"], answer.get("node_errors", {}))
    return _BY_STATUS.get(status, Unavailable)(detail)
