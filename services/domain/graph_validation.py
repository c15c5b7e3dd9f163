"""The complete check of a graph, with the answers that a stock ComfyUI 0.33.0 gives on POST /prompt.

Pure: the catalogue is `/object_info`, files are asked for by a function. What only a node's own Python knows (its
VALIDATE_INPUTS) is reproduced for the core's file inputs and left out for everything else. A traceback is never part
of an answer.
"""

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from services.domain.node_checks import Broken, FileExists, check_files, check_link, check_missing, inner_failure
from services.domain.node_schema import NodeSchema
from services.domain.value_checks import Complaint, check_value, complaint

MOST_REPORTED = 100
"""Nodes and outputs that one answer speaks about, at most: what it says of each may be as long as the list of all."""


@dataclass(frozen=True, slots=True)
class GraphCheck:
    """The verdict. `error` is None when at least one output can run; `node_errors` may then still name others."""

    error: Complaint | None
    node_errors: dict[str, Any] = field(default_factory=dict)
    output_ids: list[str] = field(default_factory=list)


def validate(
    graph: Mapping[str, Any],
    catalogue: Mapping[str, Any],
    *,
    partial_targets: Collection[str] | None = None,
    file_exists: FileExists,
) -> GraphCheck:
    """Check a graph (node id -> node) against `/object_info`.

    `partial_targets` limits the outputs to those nodes. `file_exists` is asked with the name of an upload of the
    graph's owner, without annotation. The graph is not changed.
    """
    outputs: list[str] = []
    for node_id, node in graph.items():
        info = catalogue.get(node["class_type"]) if isinstance(node.get("class_type"), str) else None
        if info is None:
            return GraphCheck(_missing_class(node_id, node))
        if info.get("output_node") is True and (partial_targets is None or node_id in partial_targets):
            outputs.append(node_id)
    if not outputs:
        return GraphCheck(complaint("prompt_no_outputs", "Prompt has no outputs", "", {}))
    return _Check(graph, catalogue, file_exists).run(outputs)


def reachable(graph: Mapping[str, Any], outputs: Collection[str]) -> set[str]:
    """Collect the outputs and everything they are made from."""
    found: set[str] = set()
    waiting = list(outputs)
    while waiting:
        node_id = waiting.pop()
        if node_id in found or node_id not in graph:
            continue
        found.add(node_id)
        inputs = graph[node_id].get("inputs")
        values = inputs.values() if isinstance(inputs, Mapping) else ()
        waiting += [value[0] for value in values if _is_link(value)]
    return found


def _is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _missing_class(node_id: str, node: Mapping[str, Any]) -> Complaint:
    class_type = node.get("class_type")
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    if class_type is None:
        name = title or f"ID #{node_id}"
        message = f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
    else:
        title = class_type if title is None else title
        message = f"Node '{title}' not found. The custom node may not be installed."
    extra = {"node_id": node_id, "class_type": class_type, "node_title": title}
    return complaint("missing_node_type", message, f"Node ID '#{node_id}'", extra)


@dataclass(slots=True)
class _Verdict:
    valid: bool
    complaints: list[Complaint]


_Walk = Generator[str, _Verdict, _Verdict]
"""The check of one node: asks for the verdict of each node it is linked to, ends with its own."""


class _Check:
    """One run over one graph; remembers the verdict of each node."""

    def __init__(self, graph: Mapping[str, Any], catalogue: Mapping[str, Any], file_exists: FileExists) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._file_exists = file_exists
        self._schemas: dict[str, NodeSchema] = {}
        self._done: dict[str, _Verdict] = {}

    def run(self, outputs: list[str]) -> GraphCheck:
        """Check the outputs and put the verdict together."""
        good: list[str] = []
        failed = 0
        lines: list[str] = []
        node_errors: dict[str, Any] = {}
        for output in outputs:
            verdict = self._output(output)
            if verdict.valid:
                good.append(output)
                continue
            failed += 1
            if failed > MOST_REPORTED:
                continue
            lines += [f"{found['message']}: {found['details']}" for found in verdict.complaints]
            self._collect(node_errors, output)
        if good:
            return GraphCheck(None, node_errors, good)
        error = complaint("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(lines), {})
        return GraphCheck(error, node_errors)

    def _collect(self, node_errors: dict[str, Any], output: str) -> None:
        """Attach everything that is wrong so far to this output, as ComfyUI does."""
        wrong = ((node_id, verdict) for node_id, verdict in self._done.items() if verdict.complaints)
        for node_id, verdict in islice(wrong, MOST_REPORTED):
            class_type = self._graph[node_id]["class_type"]
            entry = {"errors": verdict.complaints, "dependent_outputs": [], "class_type": class_type}
            node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)

    def _output(self, output: str) -> _Verdict:
        """Check one output and everything it is made from, depth first; chains may be of any length."""
        if output in self._done:
            return self._done[output]
        path: dict[str, _Walk] = {output: self._node(output)}
        answer: _Verdict | Broken | None = None
        while path:
            node_id, walk = next(reversed(path.items()))
            try:
                wanted = walk.throw(answer) if isinstance(answer, Broken) else walk.send(answer)  # type: ignore[arg-type]
                answer = self._done.get(wanted) or self._known_cycle(wanted, path)
                if answer is None:
                    path[wanted] = self._node(wanted)
            except StopIteration as end:
                answer = end.value
                del path[node_id]
            except Broken as broken:
                answer = broken
                del path[node_id]
        if isinstance(answer, Broken):
            extra = {"exception_type": answer.kind, "traceback": []}
            found = complaint("exception_during_validation", "Exception when validating node", str(answer), extra)
            self._done[output] = _Verdict(False, [found])
        return self._done[output]

    def _known_cycle(self, node_id: str, path: Mapping[str, _Walk]) -> _Verdict | None:
        """If the way to a node leads over itself, say so for each node on the way around."""
        if node_id not in path:
            return None
        way = list(path)
        members = way[way.index(node_id) :]
        named = members[:MOST_REPORTED]
        drawn = " -> ".join(f"{member} ({self._graph[member]['class_type']})" for member in [*named, node_id])
        for member in members:
            self._done[member] = _Verdict(False, [])
        for member in named:
            extra = {"node_id": member, "cycle_nodes": named}
            found = complaint("dependency_cycle", "Dependency cycle detected", drawn, extra)
            self._done[member] = _Verdict(False, [found])
        return self._done[node_id]

    def _node(self, node_id: str) -> _Walk:
        """Check one node; links are followed by whoever drives this."""
        node = self._graph[node_id]
        inputs = node.get("inputs")
        if not isinstance(inputs, Mapping):
            raise Broken("KeyError", "'inputs'")
        schema = self._schema(node["class_type"])
        found: list[Complaint] = []
        upstream_valid = True
        for declared in schema.live_inputs(inputs):
            value = inputs.get(declared.name)
            if declared.name not in inputs:
                found += check_missing(declared, schema)
            elif not isinstance(value, list):
                found += check_value(declared, value)
            elif refused := check_link(declared, value, self._graph, self._catalogue):
                found += refused
            else:
                try:
                    verdict = yield value[0]
                    upstream_valid = upstream_valid and verdict.valid
                except Broken as broken:
                    self._done[value[0]] = _Verdict(False, [inner_failure(declared, value, broken)])
                    upstream_valid = False
        found += check_files(schema, inputs, self._file_exists)
        before = self._done.get(node_id, _Verdict(True, []))  # a cycle further up has spoken about this node already
        added = [one for one in found if one not in before.complaints]
        self._done[node_id] = _Verdict(before.valid and upstream_valid and not found, before.complaints + added)
        return self._done[node_id]

    def _schema(self, class_type: str) -> NodeSchema:
        if class_type not in self._schemas:
            self._schemas[class_type] = NodeSchema(class_type, self._catalogue[class_type])
        return self._schemas[class_type]
