"""The node catalogue as one participant's page reads it: every worker's nodes, with this participant's own files.

The merged catalogue is some 1.6 MB of JSON and would be ten times that as Python objects in each of twenty processes:
it is kept as bytes, cut at the class borders, and only the classes that a request needs are decoded.
"""

import asyncio
from typing import Any

import msgspec

from services.domain.catalogue import with_input_files
from services.domain.errors import Unavailable
from services.frontend.queue_client import QueueClient

FRESH_SECONDS = 5.0
"""For so long an answer is not asked for again: a page load reads the catalogue several times."""


class _OutputFlag(msgspec.Struct):
    output_node: bool = False


class Catalogue:
    """The queue manager's catalogue, asked for again with its ETag."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue
        self._etag = ""
        self._asked_at = float("-inf")
        self._classes: dict[str, msgspec.Raw] = {}
        self._with_files: list[str] = []
        self._outputs: frozenset[str] = frozenset()
        self._asking = asyncio.Lock()

    async def object_info(self, class_type: str | None = None) -> bytes:
        """Stock's `/object_info`, or the entry of one class; file inputs offer the participant's own files."""
        await self._refresh()
        wanted = self._classes if class_type is None else _one(self._classes, class_type)
        names = await self.input_names() if any(name in wanted for name in self._with_files) else []
        own = {
            name: msgspec.Raw(msgspec.json.encode(with_input_files(name, _decoded(self._classes[name]), names)))
            for name in self._with_files
            if name in wanted
        }
        return msgspec.json.encode({**wanted, **own})

    async def of_graph(self, graph: dict[str, Any]) -> dict[str, Any]:
        """The entries of the classes that a graph uses, decoded: what validation needs."""
        await self._refresh()
        used = {node.get("class_type") for node in graph.values() if isinstance(node, dict)}
        return {name: _decoded(self._classes[name]) for name in used if isinstance(name, str) and name in self._classes}

    async def output_classes(self) -> frozenset[str]:
        """The classes whose nodes are a graph's outputs."""
        await self._refresh()
        return self._outputs

    async def is_known(self) -> bool:
        """Whether any worker ever published its nodes."""
        await self._refresh()
        return bool(self._classes)

    async def models(self) -> dict[str, list[str]]:
        """Model folder -> file names, over all workers."""
        answer: dict[str, list[str]] = await self._queue.ask("GET", "/api/catalogue/models")
        return answer

    async def input_names(self) -> list[str]:
        """The names of the participant's own input files, sorted."""
        answer = await self._queue.ask("GET", "/api/inputs")
        return sorted(entry["name"] for entry in answer["inputs"])

    async def _refresh(self) -> None:
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._asked_at < FRESH_SECONDS:
                return
            headers = {"If-None-Match": self._etag, "Accept-Encoding": "identity"}
            async with self._queue.stream("GET", "/api/catalogue", headers=headers) as response:
                if response.status == 200:
                    self._take(await response.read())
                    self._etag = response.headers.get("ETag", "")
                elif response.status != 304:
                    raise Unavailable("The list of nodes cannot be read at the moment; try again shortly.")
            self._asked_at = now

    def _take(self, content: bytes) -> None:
        self._classes = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        self._with_files = [
            name for name, entry in self._classes.items() if b"_upload" in bytes(entry) or name == "LoadLatent"
        ]
        self._outputs = frozenset(
            name for name, entry in self._classes.items() if msgspec.json.decode(entry, type=_OutputFlag).output_node
        )


def _one(classes: dict[str, msgspec.Raw], class_type: str) -> dict[str, msgspec.Raw]:
    return {class_type: classes[class_type]} if class_type in classes else {}


def _decoded(entry: msgspec.Raw) -> Any:
    return msgspec.json.decode(entry)
