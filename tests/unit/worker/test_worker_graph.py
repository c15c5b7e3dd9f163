"""The graph on its way into ComfyUI: names, prefixes, marks and tokens."""

import json
from typing import Any

import pytest

from services.domain.job import InputFile, Lease
from services.worker.artifacts.graph import PreparedGraph, WorkflowUnusable, node_kinds, placed_name, prepare
from tests.support.comfyui_stub import CATALOGUE

JOB = "11111111-2222-4333-8444-555555555555"
PHOTO = InputFile(name="holiday/photo.png", sha256="ab" * 32, size=7)


def lease(**changes: Any) -> Lease:
    values: dict[str, Any] = {
        "job_id": JOB,
        "token": "t",
        "participant": "alice",
        "attempt": 1,
        "number": 1,
        "expires_at": 0,
        "lease_seconds": 30,
        "inputs": [PHOTO],
    }
    return Lease(**{**values, **changes})


def graph(**changes: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "1": {"class_type": "LoadImage", "inputs": {"image": PHOTO.name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "video/ComfyUI"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    return {**nodes, **changes}


def prepared(nodes: Any, extra_data: Any = None, **lease_changes: Any) -> PreparedGraph:
    body = json.dumps({"workflow": nodes, "extra_data": extra_data or {}}).encode()
    return prepare(body, lease(**lease_changes), node_kinds(CATALOGUE), "client-1")


def test_an_input_file_is_named_where_the_worker_put_it() -> None:
    inputs = prepared(graph()).prompt["prompt"]["1"]["inputs"]
    assert inputs["image"] == placed_name(PHOTO) == f"comfyume/{'ab' * 16}/photo.png"


def test_a_text_that_happens_to_equal_a_file_name_stays_as_it_is() -> None:
    nodes = graph(**{"4": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "note": PHOTO.name}}})
    assert prepared(nodes).prompt["prompt"]["4"]["inputs"]["note"] == PHOTO.name


def test_an_annotated_input_is_placed_under_its_bare_name() -> None:
    mask = InputFile(name="clipspace/mask.png [input]", sha256="cd" * 32, size=1)
    assert placed_name(mask) == f"comfyume/{'cd' * 16}/mask.png"


def test_a_prefix_becomes_private_to_the_job_and_is_turned_back_afterwards() -> None:
    done = prepared(graph())
    assert done.prompt["prompt"]["2"]["inputs"]["filename_prefix"] == f"comfyume/{JOB}/video/ComfyUI"
    assert done.names.back({"subfolder": f"comfyume/{JOB}/video"}) == {"subfolder": "video"}
    assert done.names.back([f"comfyume/{JOB}", placed_name(PHOTO)]) == ["", PHOTO.name]


def test_identical_graphs_of_two_jobs_differ_in_every_output_node_but_in_no_other() -> None:
    other = "99999999-2222-4333-8444-555555555555"
    one, two = prepared(graph()).prompt["prompt"], prepared(graph(), job_id=other).prompt["prompt"]
    assert one["2"] != two["2"]
    assert one["3"] != two["3"]
    assert one["1"] == two["1"]


def test_a_linked_prefix_is_left_alone_and_the_node_still_differs_from_job_to_job() -> None:
    nodes = graph(**{"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": ["9", 0]}}})
    inputs = prepared(nodes).prompt["prompt"]["2"]["inputs"]
    assert inputs["filename_prefix"] == ["9", 0]
    assert JOB in inputs.values()


@pytest.mark.parametrize("prefix", ["/etc/x", "../x", "a/../../x", "a\\..\\x"])
def test_a_prefix_that_leads_out_of_the_output_folder_is_refused_by_name(prefix: str) -> None:
    nodes = graph(**{"2": {"class_type": "SaveImage", "inputs": {"filename_prefix": prefix}}})
    with pytest.raises(WorkflowUnusable, match="filename_prefix of node 2"):
        prepared(nodes)


def test_account_tokens_never_reach_comfyui() -> None:
    extra = {"auth_token_comfy_org": "a", "api_key_comfy_org": "b", "extra_pnginfo": {"workflow": {"n": 1}}}
    assert prepared(graph(), extra).prompt["extra_data"] == {"extra_pnginfo": {"workflow": {"n": 1}}}


def test_the_prompt_carries_the_jobs_id_the_private_client_and_the_targets() -> None:
    prompt = prepared(graph(), partial_execution_targets=["3"]).prompt
    assert (prompt["prompt_id"], prompt["client_id"]) == (JOB, "client-1")
    assert prompt["partial_execution_targets"] == ["3"]


def test_only_targeted_nodes_are_expected_to_save_files() -> None:
    assert prepared(graph()).saving_nodes == {"2"}
    assert prepared(graph(), partial_execution_targets=["3"]).saving_nodes == set()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"workflow": []}', b'{"workflow": {}}', b"\xff"])
def test_a_body_without_a_workflow_is_refused(body: bytes) -> None:
    with pytest.raises(WorkflowUnusable):
        prepare(body, lease(), {}, "client-1")


def test_a_node_of_an_unknown_class_has_its_file_names_replaced_too() -> None:
    nodes = {"1": {"class_type": "Unheard", "inputs": {"file": PHOTO.name, "filename_prefix": "x"}}}
    done = prepared(nodes)
    assert done.prompt["prompt"]["1"]["inputs"] == {
        "file": placed_name(PHOTO),
        "filename_prefix": f"comfyume/{JOB}/x",
    }
