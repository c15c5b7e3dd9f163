"""Limit of a submit: an ASGI function without framework, routes, roles or checks, over one multiplexed connection."""

import json
from typing import Any

from tests.benchmarks.limits.intake import ENQUEUE, decode, keys_of, new_id, now_ms
from tests.benchmarks.limits.mux import Mux


class BareApp:
    """POST of anything: 202 with the job's id and number."""

    def __init__(self, redis_port: int) -> None:
        self._redis_port = redis_port

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._start(receive, send)
            return
        body = await read_body(receive)
        workflow = decode(body).workflow
        job, owner = new_id(), "someone"
        kept = self._redis.call("SET", f"limit:body:{job}", bytes(workflow))
        number = await self._redis.call("EVALSHA", self._script, 4, *keys_of(job, owner), job, owner, now_ms())
        await kept
        answer = json.dumps({"id": job, "number": number, "state": "queued"}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _start(self, receive: Any, send: Any) -> None:
        await receive()
        self._redis = await Mux.connect(self._redis_port)
        self._script = await self._redis.call("SCRIPT", "LOAD", ENQUEUE)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def read_body(receive: Any) -> bytes:
    """Put a request's body together."""
    message = await receive()
    if not message.get("more_body"):
        return bytes(message["body"])
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)
