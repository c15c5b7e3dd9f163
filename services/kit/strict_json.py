"""Reading JSON bodies strictly: bounded, UTF-8, no NaN, no duplicate keys, no lone surrogates, no endless nesting.

The standard reader lets all of these through, and each of them breaks something further down (another reader that
takes the first of two keys, an answer that cannot be encoded). `StrictRoute` gives FastAPI's ordinary routes this
reader.
"""

import json
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from services.domain.errors import InvalidInput, PayloadTooLarge

MAX_JSON_BYTES = 8 << 20
"""Largest JSON body of an ordinary route; a route that takes more says so with `json_limit`."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _value in pairs:
            if key in seen:
                raise InvalidInput(f"The key {shorten(key)} stands twice in one object of the body; name it once.")
            seen.add(key)
    return found


def _constant(name: str) -> Any:
    raise InvalidInput(f"The body holds {name}, which is not JSON; send a finite number or null.")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidInput("The body holds a number that is too large; send one below 1e308.")
    return value


_reader = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def shorten(text: str, length: int = 60) -> str:
    """Return `text` as it may stand in a sentence: quoted, printable, at most `length` characters."""
    return ascii(text if len(text) <= length else text[:length] + "...")


def decode_json(body: bytes) -> Any:
    """Return the value of `body`; raises InvalidInput with a sentence that says what is wrong with it."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8 at byte {error.start}; send JSON encoded as UTF-8.") from None
    try:
        value = _reader.decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise InvalidInput(f"The body is not valid JSON at character {error.pos}: {error.msg}.") from None
    except RecursionError:
        raise InvalidInput("The body is nested too deeply; send fewer levels of lists and objects.") from None
    except UnicodeEncodeError:
        raise InvalidInput(
            "The body holds half of a surrogate pair (\\ud800 to \\udfff alone); send whole text."
        ) from None
    except ValueError:
        raise InvalidInput("The body holds a whole number with too many digits; send at most 4300.") from None
    return value


def too_large(limit: int) -> PayloadTooLarge:
    """The answer to a body of more than `limit` bytes."""
    size = f"{limit / (1 << 20):g} MiB" if limit >= 1 << 20 else f"{limit} bytes"
    return PayloadTooLarge(f"The body is larger than the {size} allowed here; send less.")


def announced_length(request: Request) -> int:
    """Return the Content-Length in bytes, 0 when none was sent (chunked); raises InvalidInput for a bad one."""
    given = request.headers.get("content-length", "0")
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        raise InvalidInput("The header Content-Length is not a number of bytes.")
    return int(given)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, refusing it as soon as more than `limit` bytes are announced or have arrived."""
    if announced_length(request) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


class StrictRequest(Request):
    """A request whose JSON is read by `decode_json` and whose body is bounded."""

    json_limit = MAX_JSON_BYTES

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            try:
                self._body = await read_body(self, self.json_limit)
            except (InvalidInput, PayloadTooLarge) as error:
                raise as_http_error(error) from error
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        try:
            return decode_json(body)
        except InvalidInput as error:
            raise as_http_error(error) from error


def as_http_error(error: InvalidInput | PayloadTooLarge) -> HTTPException:
    """FastAPI lets only its own errors out of the reading of a body; the handler unwraps `__cause__` again."""
    return HTTPException(error.status, error.message)


class StrictRoute(APIRoute):
    """A route of FastAPI that reads its body with StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive, request._send))

        return strict


async def drain(parts: AsyncIterator[bytes]) -> None:
    """Read and drop the rest of a body, so that a refused upload's sender gets to read the answer."""
    try:
        async for _part in parts:
            pass
    except ClientDisconnect:
        return
