"""The check at submit: can a known worker run this graph, which ones, and which of the owner's files does it name?

A graph that is in order costs one fast pass (graph_scan.py). Only when something is amiss is the complete check
(services/domain/graph_validation.py) asked, so that a refusal reads exactly as ComfyUI's own. Catalogues come from
catalogue_store.py; the names of pools from pooling.py.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.domain.errors import InvalidInput, WorkflowRejected
from services.domain.graph_validation import GraphCheck, reachable, validate
from services.domain.job import InputFile
from services.domain.node_checks import file_of
from services.domain.node_inputs import model_signature
from services.queue_manager.catalogue_store import CatalogueStore, Known
from services.queue_manager.files.inputs import InputFiles
from services.queue_manager.graph_scan import Scan, scan_blind
from services.queue_manager.pooling import Pools
from services.queue_manager.repository import ANY_POOL


@dataclass(frozen=True, slots=True)
class Admission:
    """What the queue has to know about a graph that may run."""

    pool: str
    kind: str
    model: str
    inputs: tuple[InputFile, ...] = ()


class Parity:
    """Admits graphs, or refuses them in ComfyUI's own form."""

    def __init__(self, catalogues: CatalogueStore, pools: Pools, inputs: InputFiles) -> None:
        self._catalogues = catalogues
        self._pools = pools
        self._inputs = inputs

    async def admit(self, participant: str, workflow: bytes, targets: Sequence[str] = ()) -> Admission:
        """Return the pool, the kinds and the files of a graph (JSON in ComfyUI's API format).

        Raises WorkflowRejected with ComfyUI's `node_errors` if no known worker can run it, InvalidInput if it is no
        graph at all. While no catalogue was ever published every graph is admitted, into the pool `any`.
        """
        known = self._catalogues.known
        scan = known.scanner.scan(workflow, targets) if known.scanner else scan_blind(workflow)
        files = await self._files(participant, scan)
        if not scan.in_order or (known.scanner and len(files) < len(set(scan.files))):
            return await self._look_closer(participant, workflow, targets)
        return await self._admission(known, scan, files)

    async def _look_closer(self, participant: str, workflow: bytes, targets: Sequence[str]) -> Admission:
        """Decide about a graph with something amiss: refuse it, or leave out what ComfyUI would leave out too."""
        graph = _decode(workflow)
        await self._catalogues.refresh()
        known = self._catalogues.known
        if known.scanner is None:
            return await self._admission(known, Scan(), {})
        scan = known.scanner.scan(msgspec.json.encode(_sound(graph, graph)), ())
        files = await self._files(participant, scan)
        there = {file_of(name) for name in files}
        check = await asyncio.to_thread(
            validate, graph, known.object_info, partial_targets=targets or None, file_exists=there.__contains__
        )
        if check.error is not None:
            raise _rejection(check)
        needed = _sound(graph, reachable(graph, check.output_ids))
        scan = known.scanner.scan(msgspec.json.encode(needed), targets)
        return await self._admission(known, scan, files)

    async def _files(self, participant: str, scan: Scan) -> dict[str, InputFile]:
        """Find the owner's uploads that the graph names: name as it stands in the graph -> file."""
        if not scan.files:
            return {}
        plain = {name: file_of(name) for name in scan.files}
        found = await self._inputs.resolve(participant, [name for name in plain.values() if name is not None])
        return {
            name: found[upload].model_copy(update={"name": name})
            for name, upload in plain.items()
            if upload is not None and upload in found
        }

    async def _admission(self, known: Known, scan: Scan, files: Mapping[str, InputFile]) -> Admission:
        if known.index is None:
            pool = ANY_POOL
        elif scan.fits:
            pool = await self._pools.pool_of(known.index, scan.fits)
        else:
            raise _nowhere()
        inputs = tuple(files[name] for name in dict.fromkeys(scan.files) if name in files)
        return Admission(pool, f"{scan.mark:016x}", model_signature(scan.models), inputs)


def _sound(graph: Mapping[str, Any], node_ids: Collection[str]) -> dict[str, Any]:
    """Keep those of the given nodes that have the shape of a node; graph_validation speaks about the others."""
    return {
        node_id: {"class_type": node["class_type"], "inputs": node["inputs"]}
        for node_id, node in graph.items()
        if node_id in node_ids and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
    }


def _decode(workflow: bytes) -> dict[str, Any]:
    try:
        graph = msgspec.json.decode(workflow)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidInput("The field workflow is not valid JSON; send the graph in ComfyUI's API format.") from None
    except RecursionError:
        raise InvalidInput("The field workflow is nested too deeply; send the graph in ComfyUI's API format.") from None
    if not isinstance(graph, dict):
        raise InvalidInput("The field workflow has to be an object of nodes; save it with 'Export (API)' in ComfyUI.")
    strange = next((node_id for node_id, node in graph.items() if not isinstance(node, dict)), None)
    if strange is not None:
        raise InvalidInput(
            f"In the field workflow '{strange[:50]}' is not a node; save the graph with 'Export (API)' in ComfyUI."
        )
    return graph


def _rejection(check: GraphCheck) -> WorkflowRejected:
    """Say in one sentence what the first complaint is; the rest stands in `node_errors`."""
    assert check.error is not None
    sentence = _first_complaint(check.node_errors) or check.error["message"]
    return WorkflowRejected(
        f"The workflow cannot run: {sentence.rstrip('.')}. Change that and submit again.",
        node_errors=check.node_errors,
        comfy=check.error,
    )


def _first_complaint(node_errors: Mapping[str, Any]) -> str:
    for node_id, entry in node_errors.items():
        for complaint in entry["errors"]:
            details = str(complaint["details"])
            details = details if len(details) <= 200 else details[:200] + " ..."
            return f"node {node_id} ({entry['class_type']}): {complaint['message']}: {details}"
    return ""


def _nowhere() -> WorkflowRejected:
    message = "Each node and model is known, but no single worker has all of them"
    return WorkflowRejected(
        f"{message}; split the workflow, or ask for what is missing to be installed.",
        comfy={"type": "no_fitting_worker", "message": message, "details": "", "extra_info": {}},
    )
