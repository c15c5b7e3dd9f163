"""What everybody who looks at the console sees at this moment, and the way to tell them that it has changed.

A viewer gets whole panels, the newest only: whoever is slow misses steps in between, never the end.
"""

import asyncio
from collections.abc import AsyncGenerator

from services.admin.panels import Panel
from services.domain.errors import LimitReached

MAX_VIEWERS = 64
"""Tabs at a time; a workshop has a handful of people who may come here."""


class Board:
    """The newest panels by name, as JSON."""

    def __init__(self) -> None:
        self._panels: dict[str, str] = {}
        self._viewers: set[_Viewer] = set()
        self._closed = False

    def put(self, name: str, panel: Panel) -> None:
        """Show a panel; nobody is told when it is as it was."""
        text = panel.model_dump_json()
        if self._panels.get(name) == text:
            return
        self._panels[name] = text
        for viewer in self._viewers:
            viewer.note(name)

    def require_place(self) -> None:
        """Raise LimitReached when too many watch already."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise LimitReached(f"{MAX_VIEWERS} tabs show the console already; close some.")

    def close(self) -> None:
        """Let every viewer go: the process is about to end."""
        self._closed = True
        for viewer in self._viewers:
            viewer.changed.set()

    async def watch(self, beat_seconds: float) -> AsyncGenerator[tuple[str, str] | None]:
        """All panels, then each that changes, as (name, JSON); None as a sign of life when nothing does."""
        viewer = _Viewer(dict.fromkeys(self._panels))
        self._viewers.add(viewer)
        try:
            while not self._closed:
                for name in viewer.take():
                    yield name, self._panels[name]
                try:
                    async with asyncio.timeout(beat_seconds):
                        await viewer.changed.wait()
                except TimeoutError:
                    yield None
        finally:
            self._viewers.discard(viewer)


class _Viewer:
    """Which panels one viewer has not seen, in the order in which they changed."""

    def __init__(self, unseen: dict[str, None]) -> None:
        self._unseen = unseen
        self.changed = asyncio.Event()

    def note(self, name: str) -> None:
        self._unseen[name] = None
        self.changed.set()

    def take(self) -> list[str]:
        self.changed.clear()
        names, self._unseen = list(self._unseen), {}
        return names
