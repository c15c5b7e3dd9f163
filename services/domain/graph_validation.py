"""The complete check of a graph, with the answers that a stock ComfyUI 0.33.0 gives on POST /prompt.

Pure: the catalogue is `/object_info`, files are asked for by a function. What only a node's own Python knows (its
VALIDATE_INPUTS) is reproduced for the core's file inputs and left out for everything else. A traceback is never part
of an answer.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.domain.node_inputs import NodeInput
from services.domain.node_schema import NodeSchema
from services.domain.value_checks import Complaint, about, check_value, complaint, types_match

FileExists = Callable[[str], bool]


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


def file_of(value: str) -> str | None:
    """Name the upload that a file input's value means; None for a file of the output or temp folder.

    ComfyUI's annotation `name.png [input]` is taken off.
    """
    if value.endswith(("[output]", "[temp]")):
        return None
    return value[:-8] if value.endswith("[input]") else value


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


class _Broken(Exception):
    """Checking a node failed in a way that ComfyUI reports as an exception of its own."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(slots=True)
class _Verdict:
    valid: bool
    complaints: list[Complaint]


class _Check:
    """One run over one graph; remembers the verdict of each node."""

    def __init__(self, graph: Mapping[str, Any], catalogue: Mapping[str, Any], file_exists: FileExists) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._file_exists = file_exists
        self._schemas: dict[str, NodeSchema] = {}
        self._done: dict[str, _Verdict] = {}

    def run(self, outputs: list[str]) -> GraphCheck:
        good: list[str] = []
        lines: list[str] = []
        node_errors: dict[str, Any] = {}
        for output in outputs:
            verdict = self._output(output)
            if verdict.valid:
                good.append(output)
                continue
            lines += [f"{found['message']}: {found['details']}" for found in verdict.complaints]
            self._collect(node_errors, output)
        if good:
            return GraphCheck(None, node_errors, good)
        error = complaint("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(lines), {})
        return GraphCheck(error, node_errors)

    def _output(self, output: str) -> _Verdict:
        try:
            return self._node(output, [])
        except _Broken as broken:
            extra = {"exception_type": broken.kind, "traceback": []}
            found = complaint("exception_during_validation", "Exception when validating node", str(broken), extra)
            self._done[output] = _Verdict(False, [found])
            return self._done[output]

    def _collect(self, node_errors: dict[str, Any], output: str) -> None:
        """Attach everything that is wrong so far to this output, as ComfyUI does."""
        for node_id, verdict in self._done.items():
            if verdict.valid or not verdict.complaints:
                continue
            class_type = self._graph[node_id]["class_type"]
            entry = {"errors": verdict.complaints, "dependent_outputs": [], "class_type": class_type}
            node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)

    def _node(self, node_id: str, path: list[str]) -> _Verdict:
        """Check one node and, through its links, what it is made from."""
        if node_id in self._done:
            return self._done[node_id]
        if node_id in path:
            return self._cycle(node_id, path)
        node = self._graph[node_id]
        inputs = node.get("inputs")
        if not isinstance(inputs, Mapping):
            raise _Broken("KeyError", "'inputs'")
        schema = self._schema(node["class_type"])
        found: list[Complaint] = []
        upstream_valid = True
        for declared in schema.live_inputs(inputs):
            value = inputs.get(declared.name)
            if declared.name not in inputs:
                found += _missing(declared, schema)
            elif isinstance(value, list):
                refused, valid = self._link(declared, value, [*path, node_id])
                found += refused
                upstream_valid = upstream_valid and valid
            else:
                found += check_value(declared, value)
        found += self._files(schema, inputs)
        before = self._done.get(node_id, _Verdict(True, []))  # a cycle further up has spoken about this node already
        added = [one for one in found if one not in before.complaints]
        self._done[node_id] = _Verdict(before.valid and upstream_valid and not found, before.complaints + added)
        return self._done[node_id]

    def _schema(self, class_type: str) -> NodeSchema:
        if class_type not in self._schemas:
            self._schemas[class_type] = NodeSchema(class_type, self._catalogue[class_type])
        return self._schemas[class_type]

    def _cycle(self, node_id: str, path: list[str]) -> _Verdict:
        around = [*path[path.index(node_id) :], node_id]
        members = list(dict.fromkeys(around))
        drawn = " -> ".join(f"{member} ({self._graph[member]['class_type']})" for member in around)
        for member in members:
            extra = {"node_id": member, "cycle_nodes": members}
            self._done[member] = _Verdict(
                False, [complaint("dependency_cycle", "Dependency cycle detected", drawn, extra)]
            )
        return self._done[node_id]

    def _link(self, declared: NodeInput, value: list[Any], path: list[str]) -> tuple[list[Complaint], bool]:
        """Check one link; the second value is False when what it leads to is not valid."""
        if len(value) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            extra = {**about(declared), "received_value": value}
            return [complaint("bad_linked_input", message, declared.name, extra)], True
        received = self._received_type(value)
        if not types_match(received, declared.type):
            details = f"{declared.name}, received_type({received}) mismatch input_type({declared.type})"
            extra = {**about(declared), "received_type": received, "linked_node": value}
            message = "Return type mismatch between linked nodes"
            return [complaint("return_type_mismatch", message, details, extra)], True
        try:
            return [], self._node(value[0], path).valid
        except _Broken as broken:
            extra = {
                **about(declared),
                "exception_message": str(broken),
                "exception_type": broken.kind,
                "traceback": [],
                "linked_node": value,
            }
            message = "Exception when validating inner node"
            reason = complaint("exception_during_inner_validation", message, str(broken), extra)
            self._done[value[0]] = _Verdict(False, [reason])
            return [], False

    def _received_type(self, link: list[Any]) -> Any:
        source, slot = link
        if not isinstance(source, str) or source not in self._graph:
            raise _Broken("KeyError", repr(source))
        outputs = self._catalogue[self._graph[source]["class_type"]].get("output") or []
        if not isinstance(slot, int):
            raise _Broken("TypeError", f"tuple indices must be integers or slices, not {type(slot).__name__}")
        try:
            return outputs[slot]
        except IndexError:
            raise _Broken("IndexError", "tuple index out of range") from None

    def _files(self, schema: NodeSchema, inputs: Mapping[str, Any]) -> list[Complaint]:
        """Do what the core's own VALIDATE_INPUTS do: is the file there?"""
        found = []
        for declared in schema.files:
            value = inputs.get(declared.name)
            if isinstance(value, Mapping) and "__value__" in value:
                value = value["__value__"]
            if declared.name not in inputs or isinstance(value, list) or value in ("", "none"):
                continue
            if not isinstance(value, str):
                raise _Broken("AttributeError", f"'{type(value).__name__}' object has no attribute 'endswith'")
            name = file_of(value)
            if name is not None and self._file_exists(name):
                continue
            named = [*inputs] if schema.speaks_for_all else [declared.name]
            for one in named:
                details = f"{one} - Invalid {declared.file_word} file: {value}"
                message = "Custom validation failed for node"
                found.append(complaint("custom_validation_failed", message, details, {"input_name": one}))
        return found


def _missing(declared: NodeInput, schema: NodeSchema) -> list[Complaint]:
    if not declared.required:
        return []
    details = declared.name.rsplit(".", 1)[-1] if schema.grows else declared.name
    extra = {"input_name": declared.name}
    return [complaint("required_input_missing", "Required input is missing", details, extra)]
