"""The catalogue: complete, without other people's texts, and with the files that are there."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.worker.rehearsal import fault_names, nodes  # noqa: F401 - fills the registry
from services.worker.rehearsal.catalogue import Catalogue
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.inputs import input_specs, nest
from services.worker.rehearsal.make_catalogue import facts
from services.worker.rehearsal.models import ModelFiles
from services.worker.rehearsal.nodes.registry import BEHAVIOURS

GRAPHS = sorted((Path(__file__).parents[2] / "support" / "template_graphs").glob("*.json"))


def catalogue(root: Path, *, fault_nodes: bool = False) -> Catalogue:
    folders = Folders(root)
    folders.prepare()
    return Catalogue(folders, ModelFiles(root / "models"), fault_nodes=fault_nodes)


def texts(value: Any, key: str) -> list[Any]:
    """All values under a key, however deep."""
    if isinstance(value, dict):
        here = [value[key]] if key in value else []
        return here + [t for inner in value.values() for t in texts(inner, key)]
    return [t for inner in value for t in texts(inner, key)] if isinstance(value, list) else []


def test_every_node_of_the_catalogue_can_run_and_every_node_that_can_run_is_in_it(tmp_path: Path) -> None:
    assert set(catalogue(tmp_path, fault_nodes=True).names()) == set(BEHAVIOURS)


def test_the_nodes_that_fail_are_there_only_when_asked_for(tmp_path: Path) -> None:
    assert not set(fault_names.NAMES) & set(catalogue(tmp_path).names())


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda path: path.stem)
def test_every_node_and_model_of_a_template_is_there(tmp_path: Path, graph: Path) -> None:
    known = catalogue(tmp_path)
    for node in json.loads(graph.read_text()).values():
        info = known.info(node["class_type"])
        specs = {spec.name: spec for spec in input_specs(info, node["inputs"])}
        assert set(node["inputs"]) <= set(specs)
        for name, value in node["inputs"].items():
            choices = specs[name].choices
            if choices and not isinstance(value, list) and name != "image":
                assert value in choices


def test_the_catalogue_holds_facts_and_no_descriptions(tmp_path: Path) -> None:
    entries = {name: catalogue(tmp_path).info(name) for name in catalogue(tmp_path).names()}
    assert texts(entries, "tooltip") == []
    assert {text for text in texts(entries, "description") if isinstance(text, str)} == {""}


def test_lists_of_files_follow_the_folders(tmp_path: Path) -> None:
    known = catalogue(tmp_path)
    assert known.info("LoadImage")["input"]["required"]["image"][0] == []
    for name in ("b.png", "a.jpg", "film.mp4", "notes.txt"):
        (tmp_path / "input" / name).touch()
    assert known.info("LoadImage")["input"]["required"]["image"][0] == ["a.jpg", "b.png"]
    assert known.info("LoadVideo")["input"]["required"]["file"][1]["options"] == ["film.mp4"]


def test_models_of_your_own_are_offered_beside_those_of_the_templates(tmp_path: Path) -> None:
    (tmp_path / "models" / "checkpoints" / "style").mkdir(parents=True)
    (tmp_path / "models" / "checkpoints" / "style" / "own.safetensors").touch()
    (tmp_path / "models" / "checkpoints" / "readme.md").touch()
    (tmp_path / "models" / "special").mkdir()
    names = catalogue(tmp_path).info("CheckpointLoaderSimple")["input"]["required"]["ckpt_name"][0]
    assert "style/own.safetensors" in names
    assert "v1-5-pruned-emaonly-fp16.safetensors" in names
    assert "readme.md" not in names
    assert ModelFiles(tmp_path / "models").folders()[-1] == "special"


def test_a_choice_brings_its_own_inputs(tmp_path: Path) -> None:
    info = catalogue(tmp_path).info("ResizeImageMaskNode")
    given = {"resize_type": "scale width", "resize_type.width": 5}
    names = [spec.name for spec in input_specs(info, given)]
    assert names == ["input", "resize_type", "resize_type.width", "scale_method"]
    assert nest(given, {"resize_type"}) == {"resize_type": {"resize_type": "scale width", "width": 5}}


def test_a_list_of_values_grows_with_what_is_given(tmp_path: Path) -> None:
    info = catalogue(tmp_path).info("ComfyMathExpression")
    assert [spec.name for spec in input_specs(info, {})] == ["expression", "values.a"]
    given = {"values.a": 1, "values.c": 2}
    assert [spec.name for spec in input_specs(info, given)] == ["expression", "values.a", "values.c"]
    assert nest(given, ()) == {"values": {"a": 1, "c": 2}}


def test_of_a_real_entry_the_facts_are_kept_and_the_texts_are_not() -> None:
    entry = {
        "input": {
            "required": {
                "ckpt_name": [["installed.safetensors"], {"tooltip": "a text"}],
                "steps": ["INT", {"default": 20, "min": 1, "tooltip": "a text"}],
            }
        },
        "output": ["MODEL"],
        "output_tooltips": ["a text"],
        "description": "a text",
        "search_aliases": ["a text"],
    }
    kept = facts("CheckpointLoaderSimple", entry)
    assert "a text" not in json.dumps(kept)
    assert kept["input"]["required"]["steps"] == ["INT", {"default": 20, "min": 1}]
    assert kept["input"]["required"]["ckpt_name"][0]["$models"] == "checkpoints"
    assert kept["output"] == ["MODEL"]
