"""The job's graph on its way into ComfyUI, and the names in its messages on their way back.

The only place where a workflow is parsed. Three things are changed, and undone in everything that is relayed or
recorded:

- names of input files point to the folder where the worker put the content;
- `filename_prefix` of output nodes gets a folder that only this job has;
- output nodes without a prefix get one more input with the job's id. ComfyUI ignores it when it runs the node but
  counts it in the node's cache key, so that an identical graph never delivers the file of an earlier asker.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.domain.job import InputFile, Lease
from services.domain.node_inputs import graph_models, inputs_of
from services.worker.comfyui.messages import NameMap

ROOT = "comfyume"
"""The folder in ComfyUI's input and output under which everything of the worker lies."""

_JOB_MARK = "comfyume_job"
_TOKENS = ("auth_token_comfy_org", "api_key_comfy_org")
_ANNOTATION = re.compile(r" \[(input|output|temp)\]$")


class WorkflowUnusable(Exception):
    """The body is not a workflow that can be submitted; the message names what is wrong."""


@dataclass(frozen=True)
class NodeKind:
    """What the worker needs to know of a node class."""

    is_output: bool
    has_prefix: bool
    file_inputs: frozenset[str]


@dataclass
class PreparedGraph:
    """A prompt ready for ComfyUI, and how to read its answers."""

    prompt: dict[str, Any]
    names: NameMap
    node_ids: set[str] = field(default_factory=set)
    saving_nodes: set[str] = field(default_factory=set)
    """Output nodes that write files whenever they run."""
    models: set[str] = field(default_factory=set)


def node_kinds(object_info: Mapping[str, Any]) -> dict[str, NodeKind]:
    """Reduce /object_info to what this module asks of it."""
    kinds: dict[str, NodeKind] = {}
    for class_type, info in object_info.items():
        if isinstance(info, Mapping):
            inputs = list(inputs_of(class_type, info))
            kinds[class_type] = NodeKind(
                is_output=info.get("output_node") is True or info.get("has_intermediate_output") is True,
                has_prefix=any(declared.name == "filename_prefix" for declared in inputs),
                file_inputs=frozenset(declared.name for declared in inputs if declared.file_word is not None),
            )
    return kinds


def input_folder_of(sha256: str) -> str:
    """Where an input lies below ComfyUI's input folder. By content, so that ComfyUI's cache knows it again."""
    return f"{ROOT}/{sha256[:32]}"


def placed_name(file: InputFile) -> str:
    """The name under which the graph finds an input: the content's folder and the file's own base name."""
    bare = _ANNOTATION.sub("", file.name)
    return f"{input_folder_of(file.sha256)}/{posixpath.basename(bare)}"


def output_prefix(job_id: str) -> str:
    """The job's own folder below ComfyUI's output folder."""
    return f"{ROOT}/{job_id}"


def prepare(body: bytes, lease: Lease, kinds: Mapping[str, NodeKind], client_id: str) -> PreparedGraph:
    """Turn a leased body into the body of POST /prompt. Raises WorkflowUnusable."""
    try:
        data = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise WorkflowUnusable("The job's body is not JSON.") from error
    graph = data.get("workflow") if isinstance(data, dict) else None
    if not isinstance(graph, dict) or not graph:
        raise WorkflowUnusable("The job's body has no workflow with nodes in it.")
    places = {file.name: placed_name(file) for file in lease.inputs}
    prefix = output_prefix(lease.job_id)
    prepared = PreparedGraph({}, NameMap(prefix, {new: old for old, new in places.items()}), set(graph))
    prepared.models = graph_models(graph)
    for node_id, node in graph.items():
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict):
            kind = kinds.get(str(node.get("class_type")))
            _point_to_inputs(node["inputs"], kind, places)
            if _make_private(node_id, node["inputs"], kind, lease.job_id):
                prepared.saving_nodes.add(node_id)
    prepared.prompt = _prompt(graph, data.get("extra_data"), lease, client_id)
    if lease.partial_execution_targets:
        prepared.saving_nodes &= set(lease.partial_execution_targets)
    return prepared


def _prompt(graph: dict[str, Any], extra_data: Any, lease: Lease, client_id: str) -> dict[str, Any]:
    extra = {k: v for k, v in extra_data.items() if k not in _TOKENS} if isinstance(extra_data, dict) else {}
    prompt = {"prompt": graph, "prompt_id": lease.job_id, "client_id": client_id, "extra_data": extra}
    if lease.partial_execution_targets:
        prompt["partial_execution_targets"] = list(lease.partial_execution_targets)
    return prompt


def _point_to_inputs(inputs: dict[str, Any], kind: NodeKind | None, places: Mapping[str, str]) -> None:
    """Replace file names; in a class that the catalogue does not describe, every text that equals one."""
    candidates: Iterable[str] = inputs.keys() if kind is None else kind.file_inputs & inputs.keys()
    for name in list(candidates):
        value = inputs[name]
        if isinstance(value, str) and value in places:
            inputs[name] = places[value]


def _make_private(node_id: str, inputs: dict[str, Any], kind: NodeKind | None, job_id: str) -> bool:
    """Give an output node its private prefix or mark; returns whether the node saves files under a prefix."""
    if kind is not None and not kind.is_output:
        return False
    prefix = inputs.get("filename_prefix")
    if isinstance(prefix, str):
        inputs["filename_prefix"] = f"{output_prefix(job_id)}/{_inner(node_id, prefix)}"
        return True
    if kind is not None:
        inputs[_JOB_MARK] = job_id
    return False


def _inner(node_id: str, prefix: str) -> str:
    """The prefix as a path that stays inside the job's folder. Raises WorkflowUnusable for one that leads out."""
    parts = prefix.replace("\\", "/").split("/")
    if prefix.startswith("/") or ".." in parts:
        raise WorkflowUnusable(
            f"The filename_prefix of node {node_id} leads out of the output folder; use a plain name such as ComfyUI."
        )
    return prefix
