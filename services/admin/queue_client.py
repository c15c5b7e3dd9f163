"""What the console asks of the queue manager, with an operator's credential."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import SSEError, aconnect_sse

from services.domain.errors import Unavailable

SILENCE_SECONDS = 60.0
"""The stream of events shows every 15 s that it is alive."""


class QueueClient:
    """One client; an async context manager. Every method raises Unavailable, with a sentence for the page."""

    def __init__(self, url: str, token_file: Path) -> None:
        self._token_file = token_file
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), timeout=10, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **params: str | int) -> Any:
        """The JSON at `path`."""
        try:
            answer = await self._http.get(path, params=params, headers=self._headers())
            _check(answer)
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("The queue manager does not answer; what is shown is from before.") from error

    async def events(self) -> AsyncGenerator[dict[str, Any]]:
        """Everybody's events from now on; the first item, once the stream is open, is empty."""
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=5)
        params = {"participant": "*"}
        try:
            async with aconnect_sse(
                self._http, "GET", "/api/events", params=params, headers=self._headers(), timeout=timeout
            ) as source:
                _check(source.response)
                yield {}
                async for event in source.aiter_sse():
                    yield json.loads(event.data)
        except (httpx.HTTPError, SSEError, ValueError) as error:
            raise Unavailable("The queue manager does not answer; what is shown is from before.") from error

    def _headers(self) -> dict[str, str]:
        """The credential as it stands in its file now, so that a rotation needs no restart."""
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"}
        except OSError as error:
            raise Unavailable("The console's credential cannot be read; check ADMIN_TOKEN_FILE.") from error


def _check(answer: httpx.Response) -> None:
    if answer.status_code in (401, 403):
        raise Unavailable("The queue manager refuses the console's credential; it has to be an operator's.")
    answer.raise_for_status()
