"""One run of one prompt in ComfyUI: submitted, followed, stopped if asked, and judged.

The websocket is convenience, /queue and /history are the truth: they are asked whenever it is quiet, and after each
lost connection. Nothing here knows the queue manager; messages and frames go to two callbacks.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from services.kit.logs import get_logger
from services.worker.artifacts.graph import PreparedGraph
from services.worker.comfyui.backend import Engine
from services.worker.comfyui.client import PromptRejected
from services.worker.comfyui.messages import MessageFilter
from services.worker.comfyui.outcome import Cure, Failed, Outcome, Seen, Stopped, failure, judge
from services.worker.comfyui.websocket import BinaryMessage, ComfyUISocket, Reconnected, SocketItem, TextMessage

_log = get_logger(__name__)

_QUIET_SECONDS = 5.0
"""Silence after which /queue and /history are asked."""
_HISTORY_SECONDS = 10.0
"""How long the history entry may come after the message that announces the end."""
_LAST_MESSAGE_SECONDS = 1.0
_STOP_SECONDS = 2.0
"""How long a stop waits for ComfyUI before it is reported as not verified yet."""
_INTERRUPT_PAUSE = 0.2


@dataclass(frozen=True)
class StopRequest:
    """Somebody wants the run to end."""

    reason: str


@dataclass(frozen=True)
class EngineExited:
    """The engine's process is gone."""


Item = SocketItem | StopRequest | EngineExited


class Execution:
    """Runs one prepared graph. `run` once; `stop` at any time, from anywhere in the event loop."""

    def __init__(
        self,
        engine: Engine,
        graph: PreparedGraph,
        *,
        on_message: Callable[[dict[str, Any]], None],
        on_frame: Callable[[str, bytes], None],
        on_output: Callable[[str, Any], None],
    ) -> None:
        """`on_output` gets a node's UI output with ComfyUI's own names, before the message that announces it."""
        self._engine = engine
        self._graph = graph
        self._id = str(graph.prompt["prompt_id"])
        self._filter = MessageFilter(self._id, graph.node_ids, graph.names)
        self._on_message = on_message
        self._on_frame = on_frame
        self._on_output = on_output
        self._seen = Seen()
        self._inbox: asyncio.Queue[Item] = asyncio.Queue()
        self._last_sign = time.monotonic()
        self._away_since: float | None = None
        self._reconnected = False
        self._expected = set(graph.saving_nodes)

    def stop(self, reason: str) -> None:
        """Ask for the end of the run: cancelled, preempted, drained or lost."""
        self._inbox.put_nowait(StopRequest(reason))

    async def run(self) -> Outcome:
        """Submit, follow to the end, and say how it ended."""
        exited = self._engine.exited
        announce = lambda _future: self._inbox.put_nowait(EngineExited())  # noqa: E731
        if exited is not None:
            exited.add_done_callback(announce)
        try:
            client_id = str(self._graph.prompt["client_id"])
            comfyui = self._engine.client
            async with ComfyUISocket(comfyui.base_url, client_id, self._inbox.put, comfyui.headers) as socket:
                refused = await self._submit()
                return refused or await self._follow(socket)
        except (OSError, WebSocketException, TimeoutError) as error:
            _log.warning("ComfyUI does not take the websocket", error=repr(error))
            return _away()
        finally:
            if exited is not None:
                exited.remove_done_callback(announce)

    async def _submit(self) -> Failed | None:
        try:
            node_errors = await self._engine.client.submit(self._graph.prompt)
        except PromptRejected as error:
            return failure("rejected", self._graph.names.back(error.message), retryable=False)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            return failure("rejected", f"ComfyUI answered {status} to the workflow.", retryable=status != 500)
        except httpx.HTTPError:
            return _away()
        self._expected -= set(node_errors)
        return None

    async def _follow(self, socket: ComfyUISocket) -> Outcome:
        self._last_sign = time.monotonic()
        while True:
            item = await self._next(self._patience())
            outcome: Outcome | None = None
            match item:
                case TextMessage():
                    outcome = await self._take(item)
                case BinaryMessage():
                    self._take_frame(item.frame)
                case StopRequest():
                    return await self._stop(item.reason)
                case EngineExited():
                    return _crashed()
                case Reconnected():
                    self._reconnected = True
                    outcome = await self._ask()
                case None:
                    outcome = await self._ask()
                    if outcome is None and self._reconnected:
                        await socket.renew()
            if outcome is not None:
                return outcome

    async def _next(self, timeout: float) -> Item | None:
        try:
            async with asyncio.timeout(timeout):
                return await self._inbox.get()
        except TimeoutError:
            return None

    def _patience(self) -> float:
        return min(_QUIET_SECONDS, self._engine.settings.hang_seconds / 4)

    # What arrives -------------------------------------------------------------------------------------------

    async def _take(self, message: TextMessage) -> Outcome | None:
        if message.type == "execution_start" and message.data.get("prompt_id") == self._id:
            self._filter.executing = True
        cleaned = self._filter.message(message.type, message.data)
        if cleaned is None:
            return None
        self._last_sign = time.monotonic()
        self._pass_on(message, cleaned)
        return await self._read_verdict() if self._seen.ended else None

    def _take_frame(self, frame: bytes) -> None:
        if (kept := self._filter.frame(frame)) is not None:
            self._last_sign = time.monotonic()
            self._on_frame(*kept)

    async def _read_verdict(self) -> Outcome:
        """The end was announced: take the last messages, then the history entry, if ComfyUI keeps one."""
        await self._take_last_messages()
        deadline = time.monotonic() + _HISTORY_SECONDS
        entry = None
        while entry is None and time.monotonic() < deadline:
            try:
                entry = await self._engine.client.history(self._id)
            except httpx.HTTPError:
                if self._engine_gone():
                    break
            if entry is None:
                await asyncio.sleep(0.02)
        self._relay_the_rest()
        return self._verdict(entry)

    async def _take_last_messages(self) -> None:
        """Relay until `executing` without a node, which ComfyUI sends when the history entry is written."""
        deadline = time.monotonic() + _LAST_MESSAGE_SECONDS
        while (left := deadline - time.monotonic()) > 0 and (item := await self._next(left)) is not None:
            self._relay(item)
            if isinstance(item, TextMessage) and item.type == "executing" and item.data.get("node") is None:
                return

    def _relay_the_rest(self) -> None:
        """Relay what has come meanwhile."""
        while not self._inbox.empty():
            self._relay(self._inbox.get_nowait())

    def _relay(self, item: Item) -> None:
        if isinstance(item, TextMessage) and (cleaned := self._filter.message(item.type, item.data)):
            self._pass_on(item, cleaned)

    def _pass_on(self, message: TextMessage, cleaned: dict[str, Any]) -> None:
        self._seen.take(message.type, message.data)
        if message.type == "executed":
            self._on_output(str(message.data.get("node")), message.data.get("output"))
        self._on_message(cleaned)

    def _verdict(self, entry: dict[str, Any] | None) -> Outcome:
        return judge(entry, self._seen, self._graph.names, self._expected)

    # What is asked ------------------------------------------------------------------------------------------

    async def _ask(self) -> Outcome | None:
        """Ask /queue, then /history: in this order a prompt that ends in between is found in one of them."""
        now = time.monotonic()
        client = self._engine.client
        try:
            snapshot = await client.queue()
            if self._id not in snapshot:
                entry = await client.history(self._id)
                if entry is None:
                    return _forgotten()
                # The last messages may be on their way still: a socket that has just come back is behind.
                await self._take_last_messages()
                self._relay_the_rest()
                return self._verdict(entry)
        except httpx.HTTPError:
            return self._still_away(now)
        self._away_since = None
        if self._id in snapshot.pending and snapshot.running:
            self._last_sign = now  # waits behind somebody else's prompt
        if now - self._last_sign > self._engine.settings.hang_seconds:
            return await self._end_hung()
        return None

    def _still_away(self, now: float) -> Outcome | None:
        if self._engine_gone():
            return _crashed()
        self._away_since = self._away_since or now
        return _away() if now - self._away_since > self._engine.settings.away_seconds else None

    def _engine_gone(self) -> bool:
        exited = self._engine.exited
        return exited is not None and exited.done()

    async def _end_hung(self) -> Outcome:
        _log.warning("job gives no sign of life, it is interrupted", job=self._id)
        verified = await stop_prompt(self._engine, self._id, pause=self._relay_for)
        self._relay_the_rest()
        seconds = self._engine.settings.hang_seconds
        return failure(
            "hung",
            f"ComfyUI gave no sign of progress for {seconds:g} s; the run was interrupted.",
            retryable=True,
            cure=Cure.NONE if verified else Cure.RESTART,
        )

    # Stopping -----------------------------------------------------------------------------------------------

    async def _stop(self, reason: str) -> Stopped:
        """Interrupt and look for a short while; whoever asked is not kept waiting for a node that is slow to yield."""
        verified = await stop_prompt(self._engine, self._id, limit=_STOP_SECONDS, pause=self._relay_for)
        self._relay_the_rest()
        return Stopped(reason, verified)

    async def _relay_for(self, seconds: float) -> None:
        """Wait, but no longer than until something arrives, and pass it on."""
        if (item := await self._next(seconds)) is not None:
            self._relay(item)


async def stop_prompt(
    engine: Engine, prompt_id: str, *, limit: float | None = None, pause: Callable[[float], Any] = asyncio.sleep
) -> bool:
    """Interrupt one prompt and look until ComfyUI is without it; False when it still runs after `limit` seconds.

    Without `limit` the setting's `interrupt_seconds` hold.

    The interrupt is repeated, because ComfyUI clears a pending one when it begins a prompt.
    """
    deadline = time.monotonic() + (engine.settings.interrupt_seconds if limit is None else limit)
    while True:
        try:
            await engine.client.interrupt(prompt_id)
            if prompt_id not in await engine.client.queue():
                return True
        except httpx.HTTPError:
            if engine.exited is not None and engine.exited.done():
                return True
        if time.monotonic() > deadline:
            return False
        await pause(_INTERRUPT_PAUSE)


async def clear_leftovers(engine: Engine, client_prefix: str, prompt_id: str = "") -> bool:
    """Stop what an earlier life of this worker, or an earlier attempt at this prompt, left in ComfyUI.

    False when something could not be stopped.
    Raises httpx.HTTPError when ComfyUI does not answer.
    """
    snapshot = await engine.client.queue()
    left = {**snapshot.pending, **snapshot.running}
    stale = [one for one, client in left.items() if one == prompt_id or client.startswith(client_prefix)]
    stopped = [await stop_prompt(engine, one) for one in stale]
    return all(stopped)


def _crashed() -> Failed:
    return failure("crashed", "ComfyUI's process ended while the job ran.", retryable=True, cure=Cure.RESTART)


def _away() -> Failed:
    return failure("engine_away", "ComfyUI stopped answering while the job ran.", retryable=True, cure=Cure.RESTART)


def _forgotten() -> Failed:
    return failure("engine_lost", "ComfyUI was started anew while the job ran and knows nothing of it.", retryable=True)
