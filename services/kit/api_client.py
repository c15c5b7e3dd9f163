"""A blocking client for an HTTP interface that speaks the workshop's errors: one credential, JSON, files, events.

Responsible for the connection, for turning error answers into the domain's errors, for repeating requests that may be
repeated, and for whole files in both directions. Which routes there are, and what they mean, its callers know.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import httpx_sse
import tenacity
from pydantic import SecretStr

from services.domain import errors

CHUNK_BYTES = 1 << 20
"""How much of a file is in memory at a time."""

REPEAT_SECONDS = 5.0
"""How long a request that may be repeated is tried while nobody answers: about a restart of the other side."""

EVENTS_SILENCE_SECONDS = 60.0
"""A stream of events that is silent for this long is taken for dead; a living one shows signs of life more often."""

OnBytes = Callable[[int], None]
"""Told the number of bytes that were just moved."""


def _kinds(base: type[errors.WorkshopError]) -> Iterator[type[errors.WorkshopError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


_BY_CODE = {kind.code: kind for kind in _kinds(errors.WorkshopError)}
_BY_STATUS = {kind.status: kind for kind in _BY_CODE.values() if kind is not errors.LeaseLost}


def error_from(response: httpx.Response) -> errors.WorkshopError:
    """Make the domain's error out of an answer of 400 or more; the body must have been read."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    kind = _BY_CODE.get(str(answer.get("error"))) or _BY_STATUS.get(response.status_code) or errors.WorkshopError
    detail = (
        answer.get("detail") or f"The server answered {response.status_code} without saying why; look into its log."
    )
    node_errors = answer.get("node_errors")
    return kind(str(detail), node_errors=node_errors if isinstance(node_errors, dict) else None)


def path_of(*parts: str) -> str:
    """Join the parts of an address, each escaped; slashes inside a part stay, because names may have folders."""
    return "/" + "/".join(quote(part, safe="/") for part in parts)


def _patiently() -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors.Unavailable),
        stop=tenacity.stop_after_delay(REPEAT_SECONDS),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
        reraise=True,
    )


class ApiClient:
    """One credential's connection to one server. Every method raises an error of `services.domain.errors`."""

    def __init__(self, url: str, token: SecretStr) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=httpx.Timeout(60, connect=5),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **params: str | int | None) -> Any:
        """Return the decoded JSON at `path`; parameters that are None are left out."""
        return self.send("GET", path, params={key: value for key, value in params.items() if value is not None})

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        params: dict[str, str | int] | None = None,
        headers: dict[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> Any:
        """Send one request (`json`, or JSON as bytes in `content`); return the decoded answer, None when it is empty.

        While nobody answers it is repeated for up to REPEAT_SECONDS where that is harmless: everything but a POST,
        unless `repeatable` says otherwise.
        """
        if content is not None:
            headers = {"Content-Type": "application/json", **(headers or {})}
        request = self._http.build_request(method, path, json=json, content=content, params=params, headers=headers)
        if not (method != "POST" if repeatable is None else repeatable):
            return self._answer(request)
        return _patiently()(self._answer, request)

    def upload(self, path: str, source: Path, on_bytes: OnBytes = lambda count: None) -> Any:
        """PUT the file `source` to `path`, streamed, and return the decoded answer; repeated as `send` does it.

        A repetition begins anew, and tells `on_bytes` so by a negative count.
        """

        def put() -> Any:
            sent = 0

            def chunks() -> Iterator[bytes]:
                nonlocal sent
                with source.open("rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        yield chunk
                        sent += len(chunk)
                        on_bytes(len(chunk))

            headers = {"Content-Length": str(source.stat().st_size), "Content-Type": "application/octet-stream"}
            try:
                return self._answer(self._http.build_request("PUT", path, content=chunks(), headers=headers))
            except errors.Unavailable:
                on_bytes(-sent)
                raise

        return _patiently()(put)

    def download(self, path: str, target: Path, sha256: str, on_bytes: OnBytes = lambda count: None) -> None:
        """Write what is at `path` to `target`, which appears only when it is whole and its hash is right."""
        partial = target.with_name(target.name + ".part")
        digest = hashlib.sha256()
        try:
            with self._http.stream("GET", path) as response, partial.open("wb") as file:
                self._check(response)
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                    on_bytes(len(chunk))
            if digest.hexdigest() != sha256:
                raise errors.WorkshopError(f"{target.name} arrived damaged (its SHA-256 differs). Fetch it again.")
            partial.replace(target)
        except httpx.TransportError as error:
            raise self._away(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def events(self, path: str, after: str | None = None) -> Iterator[httpx_sse.ServerSentEvent | None]:
        """Follow the events at `path`, first those after the id `after`; yields None once, when the stream is open.

        Ends with Unavailable when the connection breaks; whoever wants to go on calls again with the last id.
        """
        headers = {"Last-Event-ID": after} if after else {}
        timeout = httpx.Timeout(EVENTS_SILENCE_SECONDS, connect=5)
        try:
            with httpx_sse.connect_sse(self._http, "GET", path, headers=headers, timeout=timeout) as source:
                self._check(source.response)
                yield None
                yield from source.iter_sse()
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self._away(error) from error
        raise errors.Unavailable("The stream of events ended.")

    def _answer(self, request: httpx.Request) -> Any:
        try:
            response = self._http.send(request)
        except httpx.TransportError as error:
            raise self._away(error) from error
        self._check(response)
        return response.json() if response.content else None

    def _check(self, response: httpx.Response) -> None:
        if response.is_error:
            response.read()
            raise error_from(response)

    def _away(self, error: httpx.TransportError | httpx.StreamError) -> errors.Unavailable:
        what = "does not answer" if isinstance(error, httpx.ConnectError | httpx.TimeoutException) else "broke off"
        return errors.Unavailable(f"{self.url} {what}. Check that it runs and that the address is right.")
