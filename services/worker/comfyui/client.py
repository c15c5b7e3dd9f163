"""ComfyUI's HTTP interface, one method a route, as far as a worker needs it.

Facts about the routes are those of ComfyUI 0.28.0 to 0.33.0. What an answer means for a job is decided by
`execution.py`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

_PROBE_SECONDS = 5.0


class PromptRejected(Exception):
    """ComfyUI refuses the graph (400); running it again would not help."""

    def __init__(self, message: str, node_errors: dict[str, Any]) -> None:
        super().__init__(message)
        self.message = message
        self.node_errors = node_errors


@dataclass(frozen=True)
class FileName:
    """A file as ComfyUI names it; `type` is its folder: output, temp or input."""

    filename: str
    subfolder: str
    type: str

    @property
    def query(self) -> dict[str, str]:
        """The parameters of /view."""
        return {"filename": self.filename, "subfolder": self.subfolder, "type": self.type}


@dataclass(frozen=True)
class QueueSnapshot:
    """ComfyUI's queue at one moment: prompt ids, each with the client id that submitted it."""

    running: dict[str, str]
    pending: dict[str, str]

    def __contains__(self, prompt_id: str) -> bool:
        return prompt_id in self.running or prompt_id in self.pending


class ComfyUIClient:
    """HTTP to one ComfyUI. Methods raise httpx.HTTPError when it does not answer or answers nonsense."""

    def __init__(self, base_url: str, token: SecretStr | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        """What the websocket has to send, too."""
        self._http = httpx.AsyncClient(
            base_url=self.base_url,
            headers=self.headers,
            timeout=httpx.Timeout(30.0, connect=5.0),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def system_stats(self) -> dict[str, Any]:
        """Versions and devices; also the cheapest sign of life."""
        return dict((await self._get("/system_stats", timeout=_PROBE_SECONDS)).json())

    async def object_info(self) -> bytes:
        """The node catalogue as raw JSON (some megabytes)."""
        return (await self._get("/object_info", timeout=120.0)).content

    async def extensions(self) -> list[str]:
        """The addresses of the scripts that the page loads; nothing where this ComfyUI does not tell."""
        answer = await self._http.get("/extensions")
        if answer.status_code == 404:
            return []
        answer.raise_for_status()
        return [address for address in answer.json() if isinstance(address, str)]

    async def extension_file(self, name: str, limit: int) -> bytes | None:
        """A node pack's file `pack/file`; None when it is not there, or longer than `limit` bytes."""
        async with self._http.stream("GET", f"/extensions/{quote(name)}") as answer:
            if answer.status_code != 200 or int(answer.headers.get("Content-Length", 0)) > limit:
                return None
            return await answer.aread()

    async def models(self) -> dict[str, dict[str, int | None]]:
        """Model files by folder, each with its size in bytes, or None where this ComfyUI does not tell sizes."""
        folders: dict[str, dict[str, int | None]] = {}
        for folder in (await self._get("/models")).json():
            sizes = await self._model_sizes(folder)
            names = (await self._get(f"/models/{folder}")).json()
            folders[folder] = {name: sizes.get(name) for name in names}
        return folders

    async def _model_sizes(self, folder: str) -> dict[str, int]:
        answer = await self._http.get(f"/experiment/models/{folder}")
        if answer.is_error:
            return {}
        files = answer.json()
        return {f["name"]: int(f["size"]) for f in files if isinstance(f, dict) and "name" in f and f.get("size")}

    async def submit(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """POST /prompt; returns node_errors of outputs that were left out. Raises PromptRejected."""
        answer = await self._http.post("/prompt", json=prompt, timeout=120.0)
        if answer.status_code == 400:
            data = answer.json()
            raise PromptRejected(_rejection(data), data.get("node_errors") or {})
        answer.raise_for_status()
        node_errors = answer.json().get("node_errors")
        return node_errors if isinstance(node_errors, dict) else {}

    async def history(self, prompt_id: str) -> dict[str, Any] | None:
        """The record of an ended prompt, or None while there is none."""
        entry = (await self._get(f"/history/{prompt_id}")).json().get(prompt_id)
        return entry if isinstance(entry, dict) else None

    async def forget(self, prompt_id: str) -> None:
        """Take an ended prompt out of the history, so that an earlier attempt is not mistaken for this one."""
        await self._post("/history", {"delete": [prompt_id]})

    async def queue(self) -> QueueSnapshot:
        """What runs and what waits in ComfyUI itself."""
        data = (await self._get("/queue")).json()
        return QueueSnapshot(_clients(data.get("queue_running")), _clients(data.get("queue_pending")))

    async def interrupt(self, prompt_id: str) -> None:
        """Take this prompt out of ComfyUI's queue and interrupt it if it runs; no other prompt is touched."""
        await self._post("/queue", {"delete": [prompt_id]})
        await self._post("/interrupt", {"prompt_id": prompt_id})

    async def free(self) -> None:
        """Ask ComfyUI to unload its models and to empty its cache of results, as soon as it is idle."""
        await self._post("/free", {"unload_models": True, "free_memory": True})

    async def size_of(self, name: FileName) -> int | None:
        """Size of a file in one of ComfyUI's folders, or None when it is not there."""
        answer = await self._http.head("/view", params=name.query)
        length = answer.headers.get("Content-Length", "")
        return int(length) if answer.is_success and length.isdecimal() else None

    async def upload(self, path: Path, name: str, subfolder: str) -> str:
        """Put a file into ComfyUI's input folder; returns the name under which a graph may use it."""
        with path.open("rb") as content:
            answer = await self._http.post(
                "/upload/image",
                files={"image": (name, content, "application/octet-stream")},
                data={"subfolder": subfolder, "type": "input", "overwrite": "true"},
                timeout=httpx.Timeout(600.0, connect=5.0),
            )
        answer.raise_for_status()
        data = answer.json()
        return f"{data['subfolder']}/{data['name']}" if data.get("subfolder") else str(data["name"])

    @asynccontextmanager
    async def view(self, name: FileName) -> AsyncIterator[httpx.Response]:
        """Open a file for streaming; the caller looks at the status code."""
        async with self._http.stream("GET", "/view", params=name.query, timeout=120.0) as answer:
            yield answer

    async def _get(self, path: str, timeout: float = 30.0) -> httpx.Response:
        answer = await self._http.get(path, timeout=timeout)
        answer.raise_for_status()
        return answer

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        (await self._http.post(path, json=body)).raise_for_status()


def _clients(items: Any) -> dict[str, str]:
    """Prompt id -> client id, from `[number, id, graph, extra_data, outputs]`."""
    found: dict[str, str] = {}
    for item in items or []:
        extra = item[3] if len(item) > 3 and isinstance(item[3], dict) else {}
        found[str(item[1])] = str(extra.get("client_id", ""))
    return found


def _rejection(data: dict[str, Any]) -> str:
    """One sentence from a 400 answer: the general message and the first complaint about a node."""
    error = data.get("error")
    general = error.get("message", "") if isinstance(error, dict) else str(error or "")
    for node_id, node in (data.get("node_errors") or {}).items():
        for complaint in node.get("errors", []):
            details = complaint.get("details") or ""
            return (
                f"{general.rstrip('.')}: node {node_id} ({node.get('class_type')}): {complaint['message']}: {details}"
            )
    details = error.get("details", "") if isinstance(error, dict) else ""
    return f"{general} {details}".strip() or "ComfyUI refuses the workflow without saying why."
