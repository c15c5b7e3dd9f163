"""Checks a prompt before it is queued and words the refusals in ComfyUI's own shape (`error` and `node_errors`)."""

import traceback
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from services.worker.rehearsal.catalogue import Catalogue, is_output_node
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.inputs import InputSpec, input_specs, types_fit
from services.worker.rehearsal.nodes.registry import BEHAVIOURS
from services.worker.rehearsal.prompt_queue import Graph

Problem = dict[str, Any]
Found = tuple[list[Problem], bool]
"""An input's problems, and whether what is linked to it is right."""

Visit = Generator[str, bool | None, None]
"""Yields the ids of nodes that must be checked first, is sent whether each is right."""

LONGEST_SHOWN_LIST = 20


@dataclass
class Verdict:
    """The outcome for one prompt: what will run, or why nothing does."""

    outputs: list[str] = field(default_factory=list)
    error: Problem | None = None
    node_errors: dict[str, Any] = field(default_factory=dict)


def problem(kind: str, message: str, details: str = "", extra_info: dict[str, Any] | None = None) -> Problem:
    """One entry of ComfyUI's error lists."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info or {}}


class Validator:
    """Checks prompts against one catalogue and the files of one input folder."""

    def __init__(self, catalogue: Catalogue, folders: Folders) -> None:
        self._catalogue = catalogue
        self._folders = folders

    def validate(self, graph: Graph, targets: list[str] | None) -> Verdict:
        """Check all output nodes (or only `targets`). Values are converted in `graph` itself, as ComfyUI does."""
        missing = self._missing_class(graph)
        if missing:
            return Verdict(error=missing)
        outputs = [
            node_id
            for node_id, node in graph.items()
            if is_output_node(self._catalogue.entry(node["class_type"])) and (targets is None or node_id in targets)
        ]
        if not outputs:
            return Verdict(error=problem("prompt_no_outputs", "Prompt has no outputs"))
        return self._validate_outputs(graph, outputs)

    def _missing_class(self, graph: Graph) -> Problem | None:
        for node_id, node in graph.items():
            class_type = node.get("class_type")
            if class_type in self._catalogue:
                continue
            title = node.get("_meta", {}).get("title", class_type)
            shown = f"Node '{title}' not found. The custom node may not be installed."
            if "class_type" not in node:
                shown = (
                    f"Node '{title or f'ID #{node_id}'}' has no class_type. "
                    "The workflow may be corrupted or a custom node is missing."
                )
            extra = {"node_id": node_id, "class_type": class_type, "node_title": title}
            return problem("missing_node_type", shown, f"Node ID '#{node_id}'", extra)
        return None

    def _validate_outputs(self, graph: Graph, outputs: list[str]) -> Verdict:
        walk = _Walk(graph, self._catalogue, self._folders)
        verdict = Verdict()
        failed: list[Problem] = []
        for output in outputs:
            try:
                valid, reasons = walk.check(output)
            except Exception as error:
                extra = {"exception_type": type_name(error), "traceback": traceback.format_tb(error.__traceback__)}
                reasons = [problem("exception_during_validation", "Exception when validating node", str(error), extra)]
                valid = False
                walk.results[output] = (False, reasons)
            if valid:
                verdict.outputs.append(output)
            else:
                failed += reasons
                walk.collect(output, verdict.node_errors)
        if not verdict.outputs:
            details = "\n".join(f"{reason['message']}: {reason['details']}" for reason in failed)
            verdict.error = problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
        return verdict


class _Walk:
    """One pass over a graph, from its outputs upwards; each node is checked once."""

    def __init__(self, graph: Graph, catalogue: Catalogue, folders: Folders) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._folders = folders
        self._path: list[str] = []
        self.results: dict[str, tuple[bool, list[Problem]]] = {}

    def check(self, output: str) -> tuple[bool, list[Problem]]:
        """Whether a node and all above it are right, and what is wrong with the node itself.

        The nodes above wait on a list, not on the call stack: a graph may be a chain of thousands of nodes.
        """
        if output in self.results:
            return self.results[output]
        self._path = [output]
        visits = [self._visit(output)]
        news: bool | Exception | None = None
        while visits:
            try:
                wanted = visits[-1].throw(news) if isinstance(news, Exception) else visits[-1].send(news)
            except StopIteration:
                news = self.results[self._path.pop()][0]
                visits.pop()
            except Exception as error:
                news = error
                self._path.pop()
                visits.pop()
            else:
                news = self._known(wanted)
                if news is None:
                    self._path.append(wanted)
                    visits.append(self._visit(wanted))
        if isinstance(news, Exception):
            raise news
        return self.results[output]

    def _known(self, node_id: str) -> bool | None:
        """Whether a node is right, None when that is still to be found out."""
        if node_id not in self.results and node_id in self._path:
            self._mark_cycle(node_id)
        return self.results[node_id][0] if node_id in self.results else None

    def _visit(self, node_id: str) -> Visit:
        """Check one node; asks for the nodes it depends on and is told whether they are right."""
        node = self._graph[node_id]
        info = self._catalogue.info(node["class_type"])
        behaviour = BEHAVIOURS[node["class_type"]]
        problems: list[Problem] = []
        ancestors_right = True
        for spec in input_specs(info, node["inputs"]):
            found, right = yield from self._check_input(node_id, spec, behaviour.validated)
            problems += found
            ancestors_right &= right
        problems += self._own_check(node)
        earlier = self.results.get(node_id, (True, []))
        right = earlier[0] and ancestors_right and not problems
        self.results[node_id] = (right, earlier[1] + [p for p in problems if p not in earlier[1]])

    def collect(self, output: str, node_errors: dict[str, Any]) -> None:
        """Add the nodes found wrong so far to `node_errors`, as standing in the way of `output`."""
        for node_id, (right, reasons) in self.results.items():
            if right or not reasons:
                continue
            entry = node_errors.setdefault(
                node_id,
                {"errors": reasons, "dependent_outputs": [], "class_type": self._graph[node_id]["class_type"]},
            )
            entry["dependent_outputs"].append(output)

    def _mark_cycle(self, node_id: str) -> None:
        loop = [*self._path[self._path.index(node_id) :], node_id]
        members = list(dict.fromkeys(loop))
        shown = " -> ".join(f"{member} ({self._graph[member]['class_type']})" for member in loop)
        for member in members:
            extra = {"node_id": member, "cycle_nodes": members}
            self.results[member] = (False, [problem("dependency_cycle", "Dependency cycle detected", shown, extra)])

    def _check_input(self, node_id: str, spec: InputSpec, own: frozenset[str]) -> Generator[str, bool | None, Found]:
        """The problems of one input, and whether what is linked to it is right."""
        inputs = self._graph[node_id]["inputs"]
        if spec.name not in inputs:
            if not spec.required:
                return [], True
            extra = {"input_name": spec.name}
            details = spec.name.rsplit(".", 1)[-1]
            return [problem("required_input_missing", "Required input is missing", details, extra)], True
        value = inputs[spec.name]
        if isinstance(value, list):
            return (yield from self._check_link(spec, value))
        return _check_value(inputs, spec, skip_limits=spec.name in own), True

    def _check_link(self, spec: InputSpec, value: list[Any]) -> Generator[str, bool | None, Found]:
        extra: dict[str, Any] = {"input_name": spec.name, "input_config": spec.config}
        if len(value) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return [problem("bad_linked_input", message, spec.name, {**extra, "received_value": value})], True
        source, slot = value
        received = self._catalogue.entry(self._graph[source]["class_type"])["output"][slot]
        if not types_fit(received, spec.type):
            details = f"{spec.name}, received_type({received}) mismatch input_type({spec.type})"
            extra |= {"received_type": received, "linked_node": value}
            return [problem("return_type_mismatch", "Return type mismatch between linked nodes", details, extra)], True
        try:
            return [], bool((yield source))
        except Exception as error:
            extra |= {
                "exception_message": str(error),
                "exception_type": type_name(error),
                "traceback": traceback.format_tb(error.__traceback__),
                "linked_node": value,
            }
            message = "Exception when validating inner node"
            self.results[source] = (
                False,
                [problem("exception_during_inner_validation", message, str(error), extra)],
            )
            return [], False

    def _own_check(self, node: dict[str, Any]) -> list[Problem]:
        behaviour = BEHAVIOURS[node["class_type"]]
        if behaviour.validate is None:
            return []
        given = {name: node["inputs"].get(name) for name in behaviour.validated if name in node["inputs"]}
        constants = {name: None if isinstance(value, list) else value for name, value in given.items()}
        answer = behaviour.validate(self._folders, **constants)
        if answer is True:
            return []
        said = "" if answer is False else f" - {answer}"
        return [
            problem(
                "custom_validation_failed", "Custom validation failed for node", f"{name}{said}", {"input_name": name}
            )
            for name in constants
        ]


def _check_value(inputs: dict[str, Any], spec: InputSpec, *, skip_limits: bool) -> list[Problem]:
    value = inputs[spec.name]
    extra: dict[str, Any] = {"input_name": spec.name, "input_config": spec.config, "received_value": value}
    try:
        value = inputs[spec.name] = spec.convert(value)
    except Exception as error:
        message = f"Failed to convert an input value to a {spec.type} value"
        details = f"{spec.name}, {value}, {error}"
        return [problem("invalid_input_type", message, details, {**extra, "exception_message": str(error)})]
    if skip_limits:
        return []
    extra["received_value"] = value
    if "min" in spec.options and value < spec.options["min"]:
        message = f"Value {value} smaller than min of {spec.options['min']}"
        return [problem("value_smaller_than_min", message, spec.name, extra)]
    if "max" in spec.options and value > spec.options["max"]:
        message = f"Value {value} bigger than max of {spec.options['max']}"
        return [problem("value_bigger_than_max", message, spec.name, extra)]
    return _check_choice(value, spec, extra)


def _check_choice(value: Any, spec: InputSpec, extra: dict[str, Any]) -> list[Problem]:
    choices = spec.choices
    if choices is None:
        return []
    several = spec.options.get("multiselect", False) and isinstance(value, list)
    wrong = [v for v in (value if several else [value]) if v not in choices]
    if not wrong:
        return []
    shown = str(choices)
    if len(choices) > LONGEST_SHOWN_LIST:
        shown = f"(list of length {len(choices)})"
        extra = {**extra, "input_config": None}
    details = f"{spec.name}: {', '.join(repr(v) for v in wrong)} not in {shown}"
    return [problem("value_not_in_list", "Value not in list", details, extra)]


def type_name(error: BaseException) -> str:
    """The exception's class as ComfyUI writes it: with its module unless built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
