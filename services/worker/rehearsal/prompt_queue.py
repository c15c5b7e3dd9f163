"""Waiting, running and finished prompts, as ComfyUI keeps them: in memory, smallest number first, history bounded."""

import copy
import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Graph = dict[str, dict[str, Any]]
"""A workflow in API form: node id -> {"class_type", "inputs", "_meta"?}."""


@dataclass(order=True)
class QueueItem:
    """One prompt. The first five fields are what /queue and /history show as a list."""

    number: float
    prompt_id: str
    graph: Graph = field(compare=False)
    extra_data: dict[str, Any] = field(compare=False)
    outputs: list[str] = field(compare=False)
    sensitive: dict[str, Any] = field(compare=False, default_factory=dict)

    def public(self) -> list[Any]:
        """The five-element list without credentials."""
        return [self.number, self.prompt_id, self.graph, self.extra_data, self.outputs]


class PromptQueue:
    """Thread-safe: the server's thread adds and deletes, the executor's thread takes and finishes."""

    def __init__(self, history_length: int, changed: Callable[[], None]) -> None:
        self._history_length = history_length
        self._changed = changed
        self._lock = threading.RLock()
        self._something = threading.Condition(self._lock)
        self._waiting: list[QueueItem] = []
        self._running: QueueItem | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self._flags: dict[str, Any] = {}

    def put(self, item: QueueItem) -> None:
        """Add a prompt."""
        with self._lock:
            heapq.heappush(self._waiting, item)
            self._changed()
            self._something.notify()

    def take(self, prepare: Callable[[], None]) -> QueueItem | None:
        """Wait for a prompt and mark it as running; None when there are flags to be looked at first.

        `prepare` is called before anybody can see the prompt running, so that a request to stop it comes after it.
        """
        with self._something:
            while not self._waiting and not self._flags:
                self._something.wait()
            if self._flags:
                return None
            prepare()
            self._running = heapq.heappop(self._waiting)
            self._changed()
            return self._running

    def finish(self, item: QueueItem, result: dict[str, Any]) -> None:
        """Move the running prompt to the history; the oldest entry leaves when there are too many."""
        with self._lock:
            self._running = None
            self._history[item.prompt_id] = {"prompt": item.public(), **result}
            while len(self._history) > self._history_length:
                del self._history[next(iter(self._history))]
            self._changed()

    def remaining(self) -> int:
        """Waiting and running prompts together."""
        with self._lock:
            return len(self._waiting) + (self._running is not None)

    def running(self) -> list[QueueItem]:
        """The running prompt, if any."""
        with self._lock:
            return [self._running] if self._running else []

    def waiting(self) -> list[QueueItem]:
        """The waiting prompts in heap order, as ComfyUI shows them."""
        with self._lock:
            return list(self._waiting)

    def if_running(self, prompt_id: str, act: Callable[[], None]) -> bool:
        """Call `act` only while this prompt runs; the queue cannot move on in between."""
        with self._lock:
            if self._running is None or self._running.prompt_id != prompt_id:
                return False
            act()
            return True

    def wipe(self) -> None:
        """Drop all waiting prompts."""
        with self._lock:
            self._waiting.clear()
            self._changed()

    def delete(self, prompt_id: str) -> bool:
        """Drop one waiting prompt; False when it does not wait."""
        with self._lock:
            kept = [item for item in self._waiting if item.prompt_id != prompt_id]
            if len(kept) == len(self._waiting):
                return False
            self._waiting = kept
            heapq.heapify(self._waiting)
            if not kept:
                self._changed()  # ComfyUI says so twice when the last one leaves
            self._changed()
            return True

    def history(self, max_items: int | None = None, offset: int = -1) -> dict[str, Any]:
        """Finished prompts, oldest first; a negative offset with `max_items` means the newest ones."""
        with self._lock:
            ids = list(self._history)
            start = len(ids) - max_items if offset < 0 and max_items is not None else offset
            chosen = ids[max(start, 0) :]
            if max_items is not None:
                chosen = chosen[: max(max_items, 1)]
            return {prompt_id: self._history[prompt_id] for prompt_id in chosen}

    def history_of(self, prompt_id: str) -> dict[str, Any]:
        """One finished prompt under its id; empty when it is not (yet) there."""
        with self._lock:
            entry = self._history.get(prompt_id)
            return {} if entry is None else {prompt_id: copy.deepcopy(entry)}

    def wipe_history(self) -> None:
        """Forget all finished prompts."""
        with self._lock:
            self._history.clear()

    def delete_history(self, prompt_id: str) -> None:
        """Forget one finished prompt."""
        with self._lock:
            self._history.pop(prompt_id, None)

    def set_flag(self, name: str, value: Any) -> None:
        """Leave a note for the executor's thread, which looks at it between prompts."""
        with self._lock:
            self._flags[name] = value
            self._something.notify()

    def take_flags(self) -> dict[str, Any]:
        """Read and clear the notes."""
        with self._lock:
            flags, self._flags = self._flags, {}
            return flags
