"""Calls a node's function as ComfyUI calls a node: once for each item when an input is a list of items."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.worker.rehearsal.graph import is_link
from services.worker.rehearsal.inputs import input_specs, nest
from services.worker.rehearsal.nodes.registry import NodeFunction, NodeResult, NodeRun

Inputs = dict[str, list[Any]]
"""Input name -> its items; a plain value is a list of one."""


@dataclass(frozen=True)
class Called:
    """A node's outputs (a list of items each) and UI entry."""

    outputs: list[list[Any]]
    ui: dict[str, Any]


def gather_inputs(
    node: dict[str, Any], info: dict[str, Any], value_of: Callable[[list[Any]], list[Any] | None]
) -> Inputs:
    """Collect the items of every input; a link whose source has not run (a lazy one) gives [None].

    Names the node does not know are left out, as ComfyUI does.
    """
    known = {spec.name for spec in input_specs(info, node["inputs"])}
    inputs: Inputs = {}
    for name, value in node["inputs"].items():
        if is_link(value):
            items = value_of(value)
            inputs[name] = [None] if items is None else items
        elif name in known:
            inputs[name] = [value]
    return inputs


def call_node(function: NodeFunction, run: NodeRun, inputs: Inputs, info: dict[str, Any]) -> Called:
    """Call the function, once or for each item, and put the answers together."""
    run.interrupt.check()
    given = {name: items[0] for name, items in inputs.items() if items}
    choices = {spec.name for spec in input_specs(info, given) if spec.brings_inputs}
    if info.get("is_input_list"):
        results = [_result(function(run, **nest(inputs, choices)))]
    else:
        # A node without inputs runs once; one that is given an empty list does not run at all.
        count = max((len(items) for items in inputs.values()), default=1)
        results = []
        for i in range(count):
            run.interrupt.check()
            arguments = {name: items[min(i, len(items) - 1)] for name, items in inputs.items()}
            results.append(_result(function(run, **nest(arguments, choices))))
    return Called(_merge(results, info.get("output_is_list") or []), _merge_ui(results))


def _result(answer: NodeResult | tuple[Any, ...]) -> NodeResult:
    return answer if isinstance(answer, NodeResult) else NodeResult(answer)


def _merge(results: list[NodeResult], is_list: list[bool]) -> list[list[Any]]:
    merged: list[list[Any]] = []
    for number in range(len(results[0].outputs) if results else 0):
        values = [result.outputs[number] for result in results]
        spread = number < len(is_list) and is_list[number]
        merged.append([item for value in values for item in value] if spread else values)
    return merged


def _merge_ui(results: list[NodeResult]) -> dict[str, Any]:
    shown = [result.ui for result in results if result.ui]
    return {key: [item for ui in shown for item in ui.get(key, [])] for key in (shown[0] if shown else {})}
