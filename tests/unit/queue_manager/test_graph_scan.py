"""The fast pass over a graph: it must see what the complete check would refuse, and who fits."""

import json
from typing import Any

import pytest

from services.domain.catalogue import FitIndex, Profile
from services.domain.graph_validation import validate
from services.domain.node_inputs import graph_models
from services.queue_manager.graph_scan import GraphScanner, scan_blind
from tests.golden.recorder import RECORDINGS
from tests.golden.scenarios.refusals import BODIES

OBJECT_INFO: dict[str, Any] = json.loads((RECORDINGS.parent / "catalogue.json").read_text(encoding="utf-8"))
SEEN = {"missing_node_type", "prompt_no_outputs", "value_not_in_list"}
"""Complaints about what the scan looks at; types and ranges are the running ComfyUI's to check."""

LOADER = {"input": {"required": {"model": [["a.safetensors", "b.safetensors"]], "mode": [["fast", "good"]]}}}
SAVE = {"input": {"required": {"images": ["IMAGE"]}}, "output_node": True}
LOAD = {"input": {"required": {"image": [[], {"image_upload": True}]}}}


def _scan(profiles: list[dict[str, Any]], graph: dict[str, Any], targets: tuple[str, ...] = ()) -> Any:
    index = FitIndex([Profile(f"profile {number}", info) for number, info in enumerate(profiles)])
    return GraphScanner(index).scan(json.dumps(graph).encode(), targets)


def _graph(**loader: Any) -> dict[str, Any]:
    return {
        "1": {"inputs": loader, "class_type": "Loader"},
        "2": {"class_type": "Save", "inputs": {"images": ["1", 0]}},
    }


GRAPHS = {
    name: body["prompt"]
    for name, body in BODIES.items()
    if isinstance(body.get("prompt"), dict) and all(isinstance(node, dict) for node in body["prompt"].values())
}


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_a_graph_that_is_refused_for_a_class_a_choice_or_its_outputs_is_never_in_order(name: str) -> None:
    graph = GRAPHS[name]
    check = validate(graph, OBJECT_INFO, file_exists=lambda _: True)
    found = {check.error["type"]} if check.error else set()
    found |= {complaint["type"] for entry in check.node_errors.values() for complaint in entry["errors"]}
    if found & SEEN:
        assert not _scan([OBJECT_INFO], graph).in_order


def test_a_sound_graph_is_in_order_and_names_its_models_and_files() -> None:
    info = {"Loader": LOADER, "Save": SAVE, "LoadImage": LOAD}
    graph = _graph(model="b.safetensors", mode="fast", unknown=1)
    graph["3"] = {"class_type": "LoadImage", "inputs": {"image": "anna.png"}, "_meta": {"title": "x"}}
    scan = _scan([info], graph)
    assert (scan.in_order, scan.fits) == (True, 1)
    assert (scan.models, scan.files) == (["b.safetensors"], ["anna.png"])


def test_each_choice_leaves_only_the_workers_that_offer_it() -> None:
    other = {"Loader": {"input": {"required": {"model": [["b.safetensors", "c.safetensors"]]}}}, "Save": SAVE}
    profiles = [{"Loader": LOADER, "Save": SAVE}, other]
    assert _scan(profiles, _graph(model="a.safetensors")).fits == 0b01
    assert _scan(profiles, _graph(model="b.safetensors")).fits == 0b11
    assert _scan(profiles, _graph(model="c.safetensors")).fits == 0b10
    both = _graph(model="a.safetensors") | {"3": {"class_type": "Loader", "inputs": {"model": "c.safetensors"}}}
    assert (_scan(profiles, both).in_order, _scan(profiles, both).fits) == (True, 0)


def test_the_models_are_the_ones_that_a_worker_finds_in_the_same_graph() -> None:
    loader = {"input": {"required": {"model": [["none", "a.safetensors"]], "vae": [["b.pt", "inside the model"]]}}}
    graph = _graph(model="a.safetensors", vae="inside the model")
    assert _scan([{"Loader": loader, "Save": SAVE}], graph).models == sorted(graph_models(graph))
    assert _scan([{"Loader": loader, "Save": SAVE}], _graph(model="none", vae="b.pt")).models == ["b.pt"]


@pytest.mark.parametrize("value", ["d.safetensors", 1, 1.5, True, {"a": 1}, ""])
def test_a_value_that_nobody_offers_is_not_in_order(value: object) -> None:
    assert not _scan([{"Loader": LOADER, "Save": SAVE}], _graph(model=value)).in_order


@pytest.mark.parametrize("value", [["2", 0], None])
def test_a_link_or_nothing_in_the_place_of_a_choice_is_not_the_scans_business(value: object) -> None:
    assert _scan([{"Loader": LOADER, "Save": SAVE}], _graph(model=value)).in_order


def test_a_class_with_strange_names_does_not_spoil_the_others() -> None:
    strange = {"input": {"required": {'a"b\\c': [["x"]], "d\n": [[], {"image_upload": True}], "e": [["y"]]}}}
    info = [{"Loader": LOADER, "Save": SAVE, 'Str"ange\n': strange}]
    graph = _graph(model="a.safetensors") | {"3": {"class_type": 'Str"ange\n', "inputs": {'a"b\\c': "z", "e": "y"}}}
    assert _scan(info, graph).in_order
    graph["3"]["inputs"]["e"] = "z"
    assert not _scan(info, graph).in_order


def test_the_targets_of_a_partial_run_must_be_outputs() -> None:
    info = [{"Loader": LOADER, "Save": SAVE}]
    assert _scan(info, _graph(model="a.safetensors"), ("2",)).in_order
    assert not _scan(info, _graph(model="a.safetensors"), ("1",)).in_order
    assert not _scan(info, _graph(model="a.safetensors"), ("nine",)).in_order


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"1": 1}', b'{"1": {"class_type": "Save"}}', b"[" * 5000])
def test_what_is_no_graph_is_not_in_order(body: bytes) -> None:
    index = FitIndex([Profile("one", {"Loader": LOADER, "Save": SAVE})])
    assert not GraphScanner(index).scan(body).in_order
    assert not scan_blind(body).in_order


def test_the_kind_depends_on_classes_and_models_and_on_nothing_else() -> None:
    info = [{"Loader": LOADER, "Save": SAVE}]
    kind = _scan(info, _graph(model="a.safetensors", mode="fast")).mark
    turned = dict(reversed(_graph(model="a.safetensors", mode="good", seed=7).items()))
    assert _scan(info, turned).mark == kind
    assert _scan(info, _graph(model="b.safetensors", mode="fast")).mark != kind


def test_without_a_catalogue_only_loading_nodes_are_searched_for_files() -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "anna.png", "x": 1}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "anna"}},
    }
    scan = scan_blind(json.dumps(graph).encode())
    assert (scan.in_order, scan.files) == (True, ["anna.png"])
