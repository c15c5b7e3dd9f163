"""Our own validation refuses what ComfyUI refused, with the same node errors, before a job is ever queued."""

import json
from typing import Any

import pytest

from services.domain.graph_validation import validate
from tests.golden.driver import load
from tests.golden.normalise import Normaliser
from tests.golden.recorder import RECORDINGS
from tests.golden.scenarios.refusals import BODIES, TAKEN

CATALOGUE: dict[str, Any] = json.loads((RECORDINGS.parent / "catalogue.json").read_text(encoding="utf-8"))
"""What the same ComfyUI said about the node classes that the bodies name."""

NOT_A_GRAPH = {
    "refused_empty_body",
    "refused_no_prompt",
    "refused_prompt_is_null",
    "refused_prompt_is_list",
    "refused_node_is_text",
    "refused_inputs_list",
    "refused_id_upper_case",
    "refused_id_no_uuid",
    "refused_id_number",
    "refused_id_without_hyphens",
}
"""Refused before a graph is looked at: by the intake, in its own words."""


@pytest.mark.parametrize("name", sorted({f"refused_{name}" for name in BODIES} - NOT_A_GRAPH))
def test_a_graph_is_refused_as_comfyui_refused_it(name: str) -> None:
    body = BODIES[name.removeprefix("refused_")]
    expected = load(RECORDINGS, name).steps[0]

    verdict = validate(
        body["prompt"], CATALOGUE, partial_targets=body.get("partial_execution_targets"), file_exists=lambda _: False
    )

    found = {"error": verdict.error, "node_errors": verdict.node_errors}
    assert expected["status"] == 400
    assert _comparable(found) == _comparable(expected["body"])


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_graph_that_comfyui_takes_is_taken(name: str) -> None:
    verdict = validate(TAKEN[name]["prompt"], CATALOGUE, file_exists=lambda _: False)

    assert verdict.error is None
    assert verdict.node_errors == {}


def _comparable(value: Any) -> Any:
    """Without tracebacks, which ours never has, and with tuples as the lists they are in JSON."""
    return _without_tracebacks(Normaliser({})(json.loads(json.dumps(value))))


def _without_tracebacks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_tracebacks(entry) for key, entry in value.items() if key != "traceback"}
    return [_without_tracebacks(entry) for entry in value] if isinstance(value, list) else value
