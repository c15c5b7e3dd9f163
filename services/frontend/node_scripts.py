"""The page files of the workers' node packs, as the queue manager keeps them: listed, and read one by one."""

import asyncio
from urllib.parse import quote

from services.domain.errors import NotFound, Unavailable
from services.domain.extension_files import is_extension_name
from services.frontend.queue_client import QueueClient

FRESH_SECONDS = 5.0
"""For so long the list is not asked for again: a page load reads it once, and then every file of it."""


class NodeScripts:
    """Names and contents; the last known list stays in use while the queue manager is away."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue
        self._digests: dict[str, str] = {}
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def listing(self) -> dict[str, str]:
        """File (`pack/file`) -> SHA-256 of its content."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._asked_at >= FRESH_SECONDS:
                try:
                    answer = await self._queue.ask("GET", "/api/extensions")
                except Unavailable:
                    return self._digests
                self._digests = {name: digest for name, digest in answer["files"].items() if is_extension_name(name)}
                self._asked_at = now
        return self._digests

    async def content(self, name: str) -> bytes:
        """One file's content.

        Raises:
            NotFound: no worker has published it.
            Unavailable: the queue manager does not answer.
        """
        async with self._queue.stream("GET", f"/api/extensions/{quote(name)}") as response:
            if response.status == 200:
                return await response.read()
        if response.status == 404:
            raise NotFound("There is no such file of a node pack.")
        raise Unavailable("The files of the node packs cannot be read at the moment; load the page again shortly.")
