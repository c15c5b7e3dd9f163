"""A queue manager that misbehaves: away, forgetful, slow to answer.

Only for what the real one cannot be made to do at a chosen moment; everything else is tested against the real process
of `queue_process.py`.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Handler = Callable[[web.Request, Any], Awaitable[web.Response | None]]


class QueueStub:
    """`async with QueueStub() as stub`: notes every call; `stub.answer` may answer instead of the default."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.answer: Handler | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def bodies(self, verb: str) -> list[Any]:
        """The bodies of all calls whose address ends with `verb`."""
        return [body for path, body in self.calls if path.endswith(f"/{verb}")]

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body: Any = await request.json() if raw and request.content_type == "application/json" else raw
        self.calls.append((request.path, body))
        answer = await self.answer(request, body) if self.answer else None
        if answer is not None:
            return answer
        if request.path.endswith("/heartbeat"):
            return web.json_response({"expires_at": 0, "stop": None})
        return web.json_response({"state": "succeeded"})
