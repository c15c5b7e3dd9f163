"""Runs one prompt after another: which node is next, whether its result is there already, what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from services.worker.rehearsal.cache import CachedResult, ResultCache, signatures
from services.worker.rehearsal.catalogue import Catalogue, is_output_node
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.graph import RunOrder, is_link
from services.worker.rehearsal.interrupt import Interrupt
from services.worker.rehearsal.messages import NodeFailed, Outbox, PromptMessages
from services.worker.rehearsal.node_call import Inputs, call_node, gather_inputs
from services.worker.rehearsal.nodes.registry import BEHAVIOURS, NEVER_SAME, NodeRun, Pace
from services.worker.rehearsal.prompt_queue import Graph, QueueItem


@dataclass
class _Run:
    """The state of one prompt while it runs."""

    graph: Graph
    extra_data: dict[str, Any]
    signatures: dict[str, str]
    messages: PromptMessages
    noted_graph: Graph
    """The graph as it goes into saved files: with the fingerprints, as ComfyUI writes it."""
    results: dict[str, CachedResult] = field(default_factory=dict)
    """By signature; what was cached at the start stays here even if the cache lets it go meanwhile."""
    executed: dict[str, None] = field(default_factory=dict)
    ui: dict[str, dict[str, Any]] = field(default_factory=dict)


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
        run = self._new_run(item)
        run.messages.started([node_id for node_id in run.graph if self._result(run, node_id) is not None])
        success = False
        try:
            self._run_nodes(run, item.outputs)
            self._show_intermediate(run)
            run.messages.succeeded()
            success = True
        except Exception as error:
            # Not only nodes fail: lazy inputs may make the nodes that are left wait for each other.
            self._tell_failure(run, error if isinstance(error, NodeFailed) else NodeFailed(item.outputs[0], error, {}))
        run.messages.ended()
        return _history_entry(run, success)

    def _new_run(self, item: QueueItem) -> _Run:
        extra_data = {**item.extra_data, **item.sensitive}
        fingerprints = self._fingerprints(item.graph)
        return _Run(
            item.graph,
            extra_data,
            signatures(item.graph, lambda node_id: fingerprints.get(node_id, False), self._needs_id(item.graph)),
            PromptMessages(self._outbox, item.prompt_id, extra_data.get("client_id")),
            {
                node_id: {**node, "is_changed": [fingerprints[node_id]]} if node_id in fingerprints else node
                for node_id, node in item.graph.items()
            },
        )

    # --- the nodes -----------------------------------------------------------------------------------------------

    def _run_nodes(self, run: _Run, outputs: list[str]) -> None:
        order = RunOrder(
            run.graph,
            is_cached=lambda node_id: self._result(run, node_id) is not None,
            is_output=lambda node_id: is_output_node(self._entry(run, node_id)),
            is_lazy=lambda node_id, name: self._is_lazy(run, node_id, name),
        )
        for output in outputs:
            order.add(output)
        while (node_id := order.pick()) is not None:
            if self._run_node(run, node_id, order):
                order.done(node_id)

    def _run_node(self, run: _Run, node_id: str, order: RunOrder) -> bool:
        """Run one node; False when it needs a lazy input first and has to come again."""
        kept = self._result(run, node_id)
        if kept is not None:
            self._show_cached(run, node_id, kept)
            run.messages.node_finished(node_id)
            return True
        run.messages.node_reached(node_id)
        node, entry = run.graph[node_id], self._entry(run, node_id)
        inputs: Inputs = {}
        try:
            inputs = gather_inputs(node, entry, lambda link: self._value(run, link))
            run.messages.node_executing(node_id)
            behaviour = BEHAVIOURS[node["class_type"]]
            if behaviour.lazy:
                needed = [n for n in behaviour.lazy(**{k: v[0] for k, v in inputs.items()}) if inputs[n][0] is None]
                for name in needed:
                    order.link(node["inputs"][name][0], node_id)
                if needed:
                    return False
            result = call_node(behaviour.run, self._node_run(run, node_id), inputs, entry)
        except Exception as error:
            raise NodeFailed(node_id, error, inputs) from error
        self._keep(run, node_id, result.outputs, result.ui)
        return True

    def _keep(self, run: _Run, node_id: str, outputs: list[list[Any]], ui: dict[str, Any]) -> None:
        if ui:
            meta = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
            run.ui[node_id] = {"meta": meta, "output": ui}
            run.messages.node_shows(node_id, ui)
        kept = CachedResult(outputs, run.ui.get(node_id))
        run.results[run.signatures[node_id]] = kept
        self._cache.put(run.signatures[node_id], kept)
        run.messages.node_finished(node_id)
        run.executed[node_id] = None

    def _show_cached(self, run: _Run, node_id: str, kept: CachedResult) -> None:
        if kept.ui is not None:
            run.ui[node_id] = kept.ui
        run.messages.node_shows(node_id, kept.ui["output"] if kept.ui else None)

    def _show_intermediate(self, run: _Run) -> None:
        """Nodes that show something on the way do so even when their result was cached and not needed."""
        for node_id in run.graph:
            if node_id not in run.executed and self._entry(run, node_id).get("has_intermediate_output"):
                kept = self._result(run, node_id)
                if kept is not None:
                    self._show_cached(run, node_id, kept)

    def _tell_failure(self, run: _Run, failure: NodeFailed) -> None:
        failure.inputs |= self._hidden_inputs(run, failure.node_id)
        node_type = run.graph[failure.node_id]["class_type"]
        run.messages.failed(failure, node_type, list(run.executed), list(run.graph))

    def _node_run(self, run: _Run, node_id: str) -> NodeRun:
        def report(value: int, maximum: int, preview: Image.Image | None) -> None:
            self._interrupt.check()
            run.messages.node_progress(node_id, value, maximum, preview)

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
            tell_text=lambda text: run.messages.node_text(node_id, text),
            previews=previews,
            loaded=self._loaded,
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

    def _value(self, run: _Run, link: list[Any]) -> list[Any] | None:
        source = self._result(run, link[0])
        return source.outputs[int(link[1])] if source else None

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


def _history_entry(run: _Run, success: bool) -> dict[str, Any]:
    return {
        "outputs": {node_id: shown["output"] for node_id, shown in run.ui.items()},
        "status": {
            "status_str": "success" if success else "error",
            "completed": success,
            "messages": run.messages.kept,
        },
        "meta": {node_id: shown["meta"] for node_id, shown in run.ui.items()},
    }
