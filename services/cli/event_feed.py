"""A thread that follows the event stream and hands everything over through a queue; comes back after every break.

Events are a convenience: whoever reads the queue asks for the job itself whenever the feed says `OPENED` or `MISSED`.
"""

import json
import queue
import threading
from dataclasses import dataclass
from typing import Any

from services.domain.errors import Unavailable, WorkshopError
from services.kit.api_client import ApiClient

PAUSE_SECONDS = 1.0
"""Between two tries to come back: short enough for a person, long enough for a server that starts."""


@dataclass(frozen=True)
class Opened:
    """The stream is open; what happened before is not in it."""


@dataclass(frozen=True)
class Away:
    """The stream broke; the feed tries to come back."""


@dataclass(frozen=True)
class Refused:
    """The stream was refused for good."""

    error: WorkshopError


Item = Opened | Away | Refused | dict[str, Any]
"""What the queue carries; a dictionary is an event as the queue manager sent it."""


class EventFeed(threading.Thread):
    """Follows the events of one credential until the program ends."""

    def __init__(self, api: ApiClient) -> None:
        super().__init__(name="event-feed", daemon=True)
        self.items: queue.Queue[Item] = queue.Queue()
        self._api = api
        self._last: str | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Let the thread end at its next step; nothing waits for it."""
        self._closed.set()

    def run(self) -> None:
        """Follow the stream; called by the thread itself."""
        while not self._closed.is_set():
            try:
                self._follow()
            except Unavailable:
                self.items.put(Away())
                self._closed.wait(PAUSE_SECONDS)
            except WorkshopError as error:
                self.items.put(Refused(error))
                return

    def _follow(self) -> None:
        for event in self._api.events("/api/events", self._last):
            if self._closed.is_set():
                return
            if event is None:
                self.items.put(Opened())
            elif event.data:
                self._last = event.id or self._last
                self.items.put(json.loads(event.data))
