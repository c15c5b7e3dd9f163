"""Runs one prompt after another and tells its client about it, message by message in ComfyUI's order."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from services.worker.rehearsal.cache import CachedResult, ResultCache, signatures
from services.worker.rehearsal.catalogue import Catalogue, is_output_node
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.graph import RunOrder, is_link
from services.worker.rehearsal.interrupt import Interrupt, InterruptedPrompt
from services.worker.rehearsal.node_call import Inputs, call_node, gather_inputs
from services.worker.rehearsal.nodes.registry import BEHAVIOURS, NEVER_SAME, NodeRun, Pace
from services.worker.rehearsal.progress import Progress
from services.worker.rehearsal.prompt_queue import Graph, QueueItem
from services.worker.rehearsal.validation import type_name


class Outbox(Protocol):
    """Where messages go; a client id of None means everybody."""

    client_id: str | None
    last_node_id: str | None

    def send(self, event: str, data: dict[str, Any], client_id: str | None) -> None: ...
    def send_preview(self, image: Image.Image, metadata: dict[str, Any], client_id: str | None) -> None: ...
    def send_text(self, node_id: str, text: str, client_id: str | None) -> None: ...
    def send_old_preview(self, image: Image.Image, client_id: str | None) -> None: ...
    def takes_preview_metadata(self, client_id: str | None) -> bool: ...


class NodeFailed(Exception):
    """A node raised; carries what execution_error says about it."""

    def __init__(self, node_id: str, cause: BaseException, inputs: Inputs) -> None:
        super().__init__(str(cause))
        self.node_id = node_id
        self.cause = cause
        self.inputs = inputs


@dataclass
class _Run:
    """The state of one prompt while it runs."""

    item: QueueItem
    extra_data: dict[str, Any]
    signatures: dict[str, str]
    progress: Progress
    noted_graph: Graph
    """The graph as it goes into saved files: with the fingerprints, as ComfyUI writes it."""
    results: dict[str, CachedResult] = field(default_factory=dict)
    """By signature; what was cached at the start stays here even if the cache lets it go meanwhile."""
    executed: dict[str, None] = field(default_factory=dict)
    ui: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    success: bool = True

    @property
    def graph(self) -> Graph:
        return self.item.graph

    @property
    def prompt_id(self) -> str:
        return self.item.prompt_id


class Executor:
    """Used by one thread. Keeps results and loaded models between prompts."""

    def __init__(
        self,
        catalogue: Catalogue,
        folders: Folders,
        outbox: Outbox,
        interrupt: Interrupt,
        pace: Pace,
        *,
        previews: bool,
    ) -> None:
        self._catalogue = catalogue
        self._folders = folders
        self._outbox = outbox
        self._interrupt = interrupt
        self._pace = pace
        self._previews = previews
        self._cache = ResultCache()
        self._loaded: set[str] = set()

    def forget(self, *, results: bool) -> None:
        """Unload the models, and drop the kept results if asked to."""
        self._loaded.clear()
        if results:
            self._cache.clear()

    def run(self, item: QueueItem) -> dict[str, Any]:
        """Run a prompt to its end and return its history entry (without the prompt itself). Raises nothing."""
        extra_data = {**item.extra_data, **item.sensitive}
        self._interrupt.clear()
        self._outbox.client_id = extra_data.get("client_id")
        run = self._new_run(item, extra_data)
        self._record(run, "execution_start", {"prompt_id": run.prompt_id})
        cached = [node_id for node_id in run.graph if self._result(run, node_id) is not None]
        self._record(run, "execution_cached", {"nodes": cached, "prompt_id": run.prompt_id})
        try:
            self._run_nodes(run)
            self._show_intermediate(run)
            self._record(run, "execution_success", {"prompt_id": run.prompt_id})
        except Exception as error:
            # Not only nodes fail: lazy inputs may make the nodes that are left wait for each other.
            run.success = False
            self._record_failure(
                run, error if isinstance(error, NodeFailed) else NodeFailed(item.outputs[0], error, {})
            )
        self._outbox.last_node_id = None
        return _history_entry(run)

    def _new_run(self, item: QueueItem, extra_data: dict[str, Any]) -> _Run:
        fingerprints = self._fingerprints(item.graph)
        return _Run(
            item,
            extra_data,
            signatures(item.graph, lambda node_id: fingerprints.get(node_id, False), self._needs_id(item.graph)),
            Progress(item.prompt_id, lambda event, data: self._outbox.send(event, data, self._outbox.client_id)),
            {
                node_id: {**node, "is_changed": [fingerprints[node_id]]} if node_id in fingerprints else node
                for node_id, node in item.graph.items()
            },
        )

    # --- the nodes -----------------------------------------------------------------------------------------------

    def _run_nodes(self, run: _Run) -> None:
        order = RunOrder(
            run.graph,
            is_cached=lambda node_id: self._result(run, node_id) is not None,
            is_output=lambda node_id: is_output_node(self._entry(run, node_id)),
            is_lazy=lambda node_id, name: self._is_lazy(run, node_id, name),
        )
        for output in run.item.outputs:
            order.add(output)
        while (node_id := order.pick()) is not None:
            if self._run_node(run, node_id, order):
                order.done(node_id)

    def _run_node(self, run: _Run, node_id: str, order: RunOrder) -> bool:
        """Run one node; False when it needs a lazy input first and has to come again."""
        kept = self._result(run, node_id)
        if kept is not None:
            self._send_cached_ui(run, node_id, kept)
            run.progress.finish(node_id)
            return True
        run.progress.start(node_id)
        inputs: Inputs = {}
        try:
            inputs = gather_inputs(run.graph[node_id], self._entry(run, node_id), lambda link: self._value(run, link))
            self._announce(run, node_id)
            behaviour = BEHAVIOURS[run.graph[node_id]["class_type"]]
            if behaviour.lazy:
                needed = [n for n in behaviour.lazy(**{k: v[0] for k, v in inputs.items()}) if inputs[n][0] is None]
                if needed:
                    for name in needed:
                        order.link(run.graph[node_id]["inputs"][name][0], node_id)
                    return False
            result = call_node(behaviour.run, self._node_run(run, node_id), inputs, self._entry(run, node_id))
        except Exception as error:
            raise NodeFailed(node_id, error, inputs) from error
        self._keep(run, node_id, result.outputs, result.ui)
        return True

    def _keep(self, run: _Run, node_id: str, outputs: list[list[Any]], ui: dict[str, Any]) -> None:
        if ui:
            meta = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
            run.ui[node_id] = {"meta": meta, "output": ui}
            self._tell(run, "executed", {"node": node_id, "display_node": node_id, "output": ui})
        kept = CachedResult(outputs, run.ui.get(node_id))
        run.results[run.signatures[node_id]] = kept
        self._cache.put(run.signatures[node_id], kept)
        run.progress.finish(node_id)
        run.executed[node_id] = None

    def _value(self, run: _Run, link: list[Any]) -> list[Any] | None:
        source = self._result(run, link[0])
        return source.outputs[int(link[1])] if source else None

    def _node_run(self, run: _Run, node_id: str) -> NodeRun:
        def report(value: int, maximum: int, preview: Image.Image | None) -> None:
            self._interrupt.check()
            self._send_progress(run, node_id, value, maximum, preview)

        asked = run.extra_data.get("preview_method")
        previews = asked != "none" if asked and asked != "default" else self._previews
        return NodeRun(
            node_id=node_id,
            folders=self._folders,
            pace=self._pace,
            interrupt=self._interrupt,
            graph=run.noted_graph,
            extra_pnginfo=run.extra_data.get("extra_pnginfo"),
            report=report,
            tell_text=lambda text: self._outbox.send_text(node_id, text, None),
            previews=previews,
            loaded=self._loaded,
            output_types=self._entry(run, node_id)["output"],
        )

    # --- what is known about nodes -------------------------------------------------------------------------------

    def _entry(self, run: _Run, node_id: str) -> dict[str, Any]:
        return self._catalogue.entry(run.graph[node_id]["class_type"])

    def _result(self, run: _Run, node_id: str) -> CachedResult | None:
        """What the node returned in this run or an earlier one, if it did."""
        signature = run.signatures[node_id]
        if signature not in run.results:
            kept = self._cache.get(signature)
            if kept is None:
                return None
            run.results[signature] = kept
        return run.results[signature]

    def _is_lazy(self, run: _Run, node_id: str, name: str) -> bool:
        for category in ("required", "optional"):
            config = self._entry(run, node_id)["input"].get(category, {}).get(name)
            if config:
                return len(config) > 1 and bool(config[1].get("lazy"))
        return False

    def _fingerprints(self, graph: Graph) -> dict[str, Any]:
        """Of each node that has one; not a number where it cannot be told, so that the node runs and says why."""
        found: dict[str, Any] = {}
        for node_id, node in graph.items():
            fingerprint = BEHAVIOURS[node["class_type"]].fingerprint
            if fingerprint is not None:
                constants = {name: value for name, value in node.get("inputs", {}).items() if not is_link(value)}
                try:
                    found[node_id] = fingerprint(self._folders, **constants)
                except Exception:
                    found[node_id] = NEVER_SAME
        return found

    def _needs_id(self, graph: Graph) -> Callable[[str], bool]:
        def needs_id(node_id: str) -> bool:
            hidden = self._catalogue.entry(graph[node_id]["class_type"])["input"].get("hidden", {})
            return any(value in ("UNIQUE_ID", ["UNIQUE_ID"]) for value in hidden.values())

        return needs_id

    def _hidden_inputs(self, run: _Run, node_id: str) -> Inputs:
        """What nodes of the older kind get beside their inputs; execution_error shows it too."""
        known = {"PROMPT": run.noted_graph, "EXTRA_PNGINFO": run.extra_data.get("extra_pnginfo"), "UNIQUE_ID": node_id}
        hidden = self._entry(run, node_id)["input"].get("hidden", {})
        return {name: [known[kind]] for name, kind in hidden.items() if isinstance(kind, str) and kind in known}

    # --- messages ------------------------------------------------------------------------------------------------

    def _announce(self, run: _Run, node_id: str) -> None:
        if self._outbox.client_id is not None:
            self._outbox.last_node_id = node_id
        self._tell(run, "executing", {"node": node_id, "display_node": node_id})

    def _tell(self, run: _Run, event: str, data: dict[str, Any]) -> None:
        """Send to the prompt's client only; nobody when it named none."""
        if self._outbox.client_id is not None:
            self._outbox.send(event, {**data, "prompt_id": run.prompt_id}, self._outbox.client_id)

    def _record(self, run: _Run, event: str, data: dict[str, Any], *, everybody: bool = False) -> None:
        """Send a message that history keeps too."""
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        run.messages.append((event, stamped))
        if self._outbox.client_id is not None or everybody:
            self._outbox.send(event, stamped, self._outbox.client_id)

    def _send_cached_ui(self, run: _Run, node_id: str, kept: CachedResult) -> None:
        if kept.ui is not None:
            run.ui[node_id] = kept.ui
        output = kept.ui["output"] if kept.ui else None
        self._tell(run, "executed", {"node": node_id, "display_node": node_id, "output": output})

    def _show_intermediate(self, run: _Run) -> None:
        """Nodes that show something on the way do so even when their result was cached and not needed."""
        for node_id in run.graph:
            if node_id in run.executed or not self._entry(run, node_id).get("has_intermediate_output"):
                continue
            kept = self._result(run, node_id)
            if kept is not None:
                self._send_cached_ui(run, node_id, kept)

    def _send_progress(self, run: _Run, node_id: str, value: int, maximum: int, preview: Image.Image | None) -> None:
        client = self._outbox.client_id
        run.progress.update(node_id, value, maximum)
        modern = preview is not None and self._outbox.takes_preview_metadata(client)
        if preview is not None and modern:
            metadata = {
                "node_id": node_id,
                "prompt_id": run.prompt_id,
                "display_node_id": node_id,
                "parent_node_id": None,
                "real_node_id": node_id,
            }
            self._outbox.send_preview(preview, metadata, client)
        progress = {"value": value, "max": maximum, "prompt_id": run.prompt_id, "node": node_id}
        self._outbox.send("progress", progress, client)
        if preview is not None and not modern:
            self._outbox.send_old_preview(preview, client)

    def _record_failure(self, run: _Run, failure: NodeFailed) -> None:
        data: dict[str, Any] = {
            "prompt_id": run.prompt_id,
            "node_id": failure.node_id,
            "node_type": run.graph[failure.node_id]["class_type"],
            "executed": list(run.executed),
        }
        if isinstance(failure.cause, InterruptedPrompt):
            self._record(run, "execution_interrupted", data, everybody=True)
            return
        data |= {
            "exception_message": f"{failure.cause}\n",
            "exception_type": type_name(failure.cause),
            "traceback": traceback.format_tb(failure.cause.__traceback__),
            "current_inputs": {
                name: [_shown(value) for value in values]
                for name, values in {**failure.inputs, **self._hidden_inputs(run, failure.node_id)}.items()
            },
            "current_outputs": list(run.graph),
        }
        self._record(run, "execution_error", data)


def _shown(value: Any) -> Any:
    """An input as execution_error shows it: plain values as they are, pictures as ComfyUI's tensors look."""
    if isinstance(value, np.ndarray):
        return f"tensor({value})"
    return value if value is None or isinstance(value, int | float | bool | str) else str(value)


def _history_entry(run: _Run) -> dict[str, Any]:
    return {
        "outputs": {node_id: shown["output"] for node_id, shown in run.ui.items()},
        "status": {
            "status_str": "success" if run.success else "error",
            "completed": run.success,
            "messages": [list(message) for message in run.messages],
        },
        "meta": {node_id: shown["meta"] for node_id, shown in run.ui.items()},
    }
