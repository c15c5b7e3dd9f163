"""Which files a job's UI outputs name."""

from typing import Any

import pytest

from services.worker.artifacts.outputs import find_outputs
from services.worker.comfyui.messages import NameMap

NAMES = NameMap("comfyume/job", {})


def file(name: str, folder: str = "output", subfolder: str = "comfyume/job") -> dict[str, str]:
    return {"filename": name, "subfolder": subfolder, "type": folder}


@pytest.mark.parametrize("kind", ["images", "gifs", "video", "videos", "audio", "3d", "files", "latents", "unheard_of"])
def test_files_of_every_kind_are_found(kind: str) -> None:
    (found,) = find_outputs({"7": {kind: [file("a.bin", subfolder="comfyume/job/sub")]}}, NAMES)
    assert found.place == {"node_id": "7", "kind": kind, "type": "output", "subfolder": "sub", "filename": "a.bin"}
    assert found.source.subfolder == "comfyume/job/sub"


def test_a_3d_preview_names_its_files_as_bare_texts() -> None:
    result = ["comfyume/job/3d/mesh_00001_.glb", {"camera": 1}, "temp/bg_12.png"]
    found = find_outputs({"7": {"result": result}}, NAMES)
    assert [(f.source.type, f.source.subfolder, f.source.filename, f.subfolder) for f in found] == [
        ("output", "comfyume/job/3d", "mesh_00001_.glb", "3d"),
        ("temp", "", "bg_12.png", ""),
    ]


def test_a_file_named_twice_is_delivered_once() -> None:
    outputs = {"7": {"images": [file("a.png")], "gifs": [file("a.png")]}, "8": {"images": [file("a.png", "temp")]}}
    assert len(find_outputs(outputs, NAMES)) == 2


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        {"text": ["hello", "temp/x.png"]},
        {"animated": [True]},
        {"images": [file("mine.png", "input")]},
        {"images": [{"filename": ""}, {"filename": 5}, None]},
        {"result": ["just words", None, 3]},
    ],
)
def test_what_is_no_file_of_the_job_is_not_taken_for_one(output: Any) -> None:
    assert find_outputs({"7": output}, NAMES) == []
