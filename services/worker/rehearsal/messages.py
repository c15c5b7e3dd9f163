"""What one prompt tells its client while it runs, in ComfyUI's words and order, and which of it history keeps."""

import time
import traceback
from typing import Any, Protocol

import numpy as np
from PIL import Image

from services.worker.rehearsal.interrupt import InterruptedPrompt
from services.worker.rehearsal.node_call import Inputs
from services.worker.rehearsal.progress import Progress
from services.worker.rehearsal.validation import type_name


class Outbox(Protocol):
    """Where messages go; a client id of None means everybody."""

    client_id: str | None
    last_node_id: str | None

    def send(self, event: str, data: dict[str, Any], client_id: str | None) -> None:
        """Send a JSON message."""

    def send_preview(self, image: Image.Image, metadata: dict[str, Any], client_id: str | None) -> None:
        """Send a preview in the newer form."""

    def send_old_preview(self, image: Image.Image, client_id: str | None) -> None:
        """Send a preview in the older form."""

    def send_text(self, node_id: str, text: str, client_id: str | None) -> None:
        """Send a text to be shown on a node."""

    def takes_preview_metadata(self, client_id: str | None) -> bool:
        """Whether the client understands the newer previews."""


class NodeFailed(Exception):
    """A node raised; carries what execution_error says about it."""

    def __init__(self, node_id: str, cause: BaseException, inputs: Inputs) -> None:
        super().__init__(str(cause))
        self.node_id = node_id
        self.cause = cause
        self.inputs = inputs


class PromptMessages:
    """The messages of one prompt. Most go to the client that queued it, and to nobody when it named none."""

    def __init__(self, outbox: Outbox, prompt_id: str, client_id: str | None) -> None:
        self._outbox = outbox
        self._prompt_id = prompt_id
        self._client_id = client_id
        self._progress = Progress(prompt_id, lambda event, data: outbox.send(event, data, client_id))
        self.kept: list[list[Any]] = []
        """The messages that history keeps: [type, data]."""
        outbox.client_id = client_id

    def started(self, cached: list[str]) -> None:
        """The prompt begins; these nodes need not run."""
        self._record("execution_start", {"prompt_id": self._prompt_id})
        self._record("execution_cached", {"nodes": cached, "prompt_id": self._prompt_id})

    def succeeded(self) -> None:
        """All outputs are there."""
        self._record("execution_success", {"prompt_id": self._prompt_id})

    def failed(self, failure: NodeFailed, node_type: str, executed: list[str], all_nodes: list[str]) -> None:
        """A node raised, or was interrupted; the latter is told to everybody."""
        data: dict[str, Any] = {
            "prompt_id": self._prompt_id,
            "node_id": failure.node_id,
            "node_type": node_type,
            "executed": executed,
        }
        if isinstance(failure.cause, InterruptedPrompt):
            self._record("execution_interrupted", data, everybody=True)
            return
        data |= {
            "exception_message": f"{failure.cause}\n",
            "exception_type": type_name(failure.cause),
            "traceback": traceback.format_tb(failure.cause.__traceback__),
            "current_inputs": {name: [_shown(item) for item in items] for name, items in failure.inputs.items()},
            "current_outputs": all_nodes,
        }
        self._record("execution_error", data)

    def node_reached(self, node_id: str) -> None:
        """It is this node's turn."""
        self._progress.start(node_id)

    def node_executing(self, node_id: str) -> None:
        """The node's inputs are there and it runs; a client that comes back is told so too."""
        if self._client_id is not None:
            self._outbox.last_node_id = node_id
        self._tell("executing", {"node": node_id, "display_node": node_id})

    def node_progress(self, node_id: str, value: int, maximum: int, preview: Image.Image | None) -> None:
        """The node got to `value` of `maximum`; the preview goes in the form that the client understands."""
        self._progress.update(node_id, value, maximum)
        modern = self._outbox.takes_preview_metadata(self._client_id)
        if preview is not None and modern:
            self._outbox.send_preview(preview, self._where(node_id), self._client_id)
        progress = {"value": value, "max": maximum, "prompt_id": self._prompt_id, "node": node_id}
        self._outbox.send("progress", progress, self._client_id)
        if preview is not None and not modern:
            self._outbox.send_old_preview(preview, self._client_id)

    def node_text(self, node_id: str, text: str) -> None:
        """A text to be shown on the node; ComfyUI sends it to everybody."""
        self._outbox.send_text(node_id, text, None)

    def node_shows(self, node_id: str, ui: dict[str, Any] | None) -> None:
        """What the node has to show, for instance the files it wrote; None for a cached node without any."""
        self._tell("executed", {"node": node_id, "display_node": node_id, "output": ui})

    def node_finished(self, node_id: str) -> None:
        """The node has run, or its result was cached."""
        self._progress.finish(node_id)

    def ended(self) -> None:
        """No node runs any more."""
        self._outbox.last_node_id = None

    def _tell(self, event: str, data: dict[str, Any]) -> None:
        if self._client_id is not None:
            self._outbox.send(event, {**data, "prompt_id": self._prompt_id}, self._client_id)

    def _record(self, event: str, data: dict[str, Any], *, everybody: bool = False) -> None:
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        self.kept.append([event, stamped])
        if self._client_id is not None or everybody:
            self._outbox.send(event, stamped, self._client_id)

    def _where(self, node_id: str) -> dict[str, Any]:
        return {
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }


def _shown(value: Any) -> Any:
    """An input as execution_error shows it: plain values as they are, pictures as ComfyUI's tensors look."""
    if isinstance(value, np.ndarray):
        return f"tensor({value})"
    return value if value is None or isinstance(value, int | float | bool | str) else str(value)
