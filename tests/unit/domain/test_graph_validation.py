"""What the recordings of a real ComfyUI do not cover: inputs that grow, files of several kinds, partial verdicts."""

import json
from typing import Any

import pytest

from services.domain.graph_validation import reachable, validate
from services.domain.node_checks import file_of

CATALOGUE: dict[str, Any] = {
    "Image": {"input": {"required": {}}, "output": ["IMAGE"], "output_node": False},
    "LoadImage": {
        "input": {"required": {"image": [[], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
        "output_node": False,
    },
    "Load3D": {
        "input": {
            "required": {
                "model_file": ["COMBO", {"options": ["none"], "file_upload": True}],
                "width": ["INT", {"min": 1, "max": 4096}],
            }
        },
        "output": ["IMAGE"],
        "output_node": False,
    },
    "Batch": {
        "input": {
            "required": {
                "images": [
                    "COMFY_AUTOGROW_V3",
                    {
                        "template": {
                            "input": {"required": {"image": ["IMAGE", {}]}},
                            "prefix": "image",
                            "min": 2,
                            "max": 4,
                        }
                    },
                ]
            }
        },
        "output": ["IMAGE"],
        "output_node": False,
    },
    "Resize": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "mode": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                        "options": [
                            {"key": "by factor", "inputs": {"required": {"factor": ["FLOAT", {"min": 0.1}]}}},
                            {"key": "none", "inputs": {"required": {}}},
                        ]
                    },
                ],
            }
        },
        "output": ["IMAGE"],
        "output_node": False,
    },
    "Save": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True},
}


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def _complaints(graph: dict[str, Any], node_id: str, files: set[str] | None = None) -> list[tuple[str, str]]:
    check = validate(graph, CATALOGUE, file_exists=(files or set()).__contains__)
    entry = check.node_errors.get(node_id, {"errors": []})
    return sorted((complaint["type"], complaint["details"]) for complaint in entry["errors"])


def test_as_many_slots_of_a_growing_input_are_required_as_the_class_says() -> None:
    graph = {"1": _node("Image"), "2": _node("Batch"), "3": _node("Save", images=["2", 0])}
    assert _complaints(graph, "2") == [("required_input_missing", "image0"), ("required_input_missing", "image1")]
    graph["2"]["inputs"] = {f"images.image{number}": ["1", 0] for number in range(3)}
    assert validate(graph, CATALOGUE, file_exists=lambda _: False).output_ids == ["3"]


def test_a_choice_brings_its_own_inputs_and_their_limits() -> None:
    graph = {
        "1": _node("Image"),
        "2": _node("Resize", image=["1", 0], mode="by factor"),
        "3": _node("Save", images=["2", 0]),
    }
    assert _complaints(graph, "2") == [("required_input_missing", "factor")]
    graph["2"]["inputs"]["mode.factor"] = 0.01
    assert _complaints(graph, "2") == [("value_smaller_than_min", "mode.factor")]
    graph["2"]["inputs"]["mode"] = "none"
    assert _complaints(graph, "2") == []


@pytest.mark.parametrize(
    "spec",
    [
        ["COMFY_AUTOGROW_V3"],
        ["COMFY_AUTOGROW_V3", {}],
        ["COMFY_DYNAMICCOMBO_V3", {"options": [1]}],
        ["INT", {"min": "a"}],
        ["INT", 5],
    ],
)
def test_a_declaration_of_another_version_is_let_through(spec: list[Any]) -> None:
    catalogue = {**CATALOGUE, "Odd": {"input": {"required": {"x": spec}}, "output": ["IMAGE"], "output_node": False}}
    graph = {"1": _node("Odd", x=1), "2": _node("Save", images=["1", 0])}
    assert validate(graph, catalogue, file_exists=lambda _: False).output_ids == ["2"]


@pytest.mark.parametrize("value", ["a.png", "sub/a.png", "a.png [input]"])
def test_an_uploaded_file_is_found_with_and_without_annotation(value: str) -> None:
    graph = {"1": _node("LoadImage", image=value), "2": _node("Save", images=["1", 0])}
    assert _complaints(graph, "1", {"a.png", "sub/a.png"}) == []


@pytest.mark.parametrize("value", ["b.png", "a.png [output]", "a.png [temp]", "../a.png", "A.PNG"])
def test_any_other_file_is_refused(value: str) -> None:
    graph = {"1": _node("LoadImage", image=value), "2": _node("Save", images=["1", 0])}
    assert _complaints(graph, "1", {"a.png"}) == [("custom_validation_failed", f"image - Invalid image file: {value}")]


def test_a_3d_model_may_be_none_and_its_class_checks_everything_itself() -> None:
    graph = {"1": _node("Load3D", model_file="none", width=0), "2": _node("Save", images=["1", 0])}
    assert _complaints(graph, "1") == []
    graph["1"]["inputs"]["model_file"] = "chair.glb"
    assert _complaints(graph, "1") == [
        ("custom_validation_failed", "model_file - Invalid 3D model file: chair.glb"),
        ("custom_validation_failed", "width - Invalid 3D model file: chair.glb"),
    ]
    assert _complaints(graph, "1", {"chair.glb"}) == []


def test_the_names_of_files_lose_only_comfyuis_own_annotations() -> None:
    assert file_of("a [input]") == "a"
    assert file_of("a [draft].png") == "a [draft].png"
    assert file_of("a [output]") is None


def test_what_an_output_is_made_from_is_found_through_links_only() -> None:
    graph = {
        "1": _node("Image"),
        "2": _node("Save", images=["1", 0], note=["1", 0, 0], other=["9", 0]),
        "3": _node("Save", images=["2", 0]),
        "4": _node("Image"),
    }
    assert reachable(graph, ["2"]) == {"1", "2"}
    assert reachable(graph, ["3"]) == {"1", "2", "3"}


def test_a_very_long_chain_is_checked_without_running_out_of_stack() -> None:
    graph = {"0": _node("Image")}
    graph |= {str(number): _node("Resize", image=[str(number - 1), 0], mode="none") for number in range(1, 5000)}
    graph["end"] = _node("Save", images=["4999", 0])
    assert validate(graph, CATALOGUE, file_exists=lambda _: False).output_ids == ["end"]
    graph["0"] = _node("Resize", image=["4999", 0], mode="none")
    check = validate(graph, CATALOGUE, file_exists=lambda _: False)
    assert check.error is not None
    assert len(json.dumps(check.node_errors)) < 1_000_000, "an answer stays small however large the cycle"


def test_many_broken_outputs_do_not_make_an_answer_that_grows_with_their_square() -> None:
    graph = {f"bad{number}": _node("LoadImage", image="missing.png") for number in range(1000)}
    graph |= {f"out{number}": _node("Save", images=[f"bad{number}", 0]) for number in range(1000)}
    check = validate(graph, CATALOGUE, file_exists=lambda _: False)
    assert check.error is not None
    assert len(json.dumps(check.node_errors)) < 1_000_000
