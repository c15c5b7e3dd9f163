"""Reading a workflow file: its form, and the input files that lie beside it."""

import json
from pathlib import Path

import pytest

from services.cli.workflow_file import named_input, read_workflow
from services.domain.errors import InvalidInput, NotFound


def write(path: Path, image: object) -> Path:
    """A workflow that loads `image`."""
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": image, "upload": "image", "strength": 1.0}}}
    path.write_text(json.dumps(graph), encoding="utf-8")
    return path


def test_a_picture_beside_the_workflow_is_found(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"x")
    assert read_workflow(write(tmp_path / "w.json", "photo.png")).inputs == {"photo.png": tmp_path / "photo.png"}


def test_a_picture_in_a_folder_beside_the_workflow_keeps_its_folder_in_the_name(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.png").write_bytes(b"x")
    assert list(read_workflow(write(tmp_path / "w.json", "clips/a.png")).inputs) == ["clips/a.png"]


def test_comfyuis_mark_for_the_folder_is_not_part_of_the_name(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"x")
    assert list(read_workflow(write(tmp_path / "w.json", "photo.png [input]")).inputs) == ["photo.png"]


@pytest.mark.parametrize(
    "value",
    ["../secret.txt", "/etc/hostname", "a\\b.png", "nul\0.png", "", "x" * 300, 7, ["1", 0], None, ".", "link.png"],
)
def test_no_file_outside_the_workflows_folder_is_ever_taken(tmp_path: Path, value: object) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "link.png").symlink_to(tmp_path / "secret.txt")
    assert read_workflow(write(folder / "w.json", value)).inputs == {}


def test_the_bytes_travel_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_bytes(b'{ "1" : {"class_type":"A","inputs":{"x":1.10}}\n}')
    assert read_workflow(path).raw == path.read_bytes()


def test_a_saved_canvas_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "canvas.json"
    path.write_text('{"nodes": [], "links": []}', encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"saved canvas.*Export \(API\)"):
        read_workflow(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"1": {}}', '{"1": {"class_type": 7}}', "[" * 100_000, "\ud7ff"])
def test_what_is_no_workflow_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "w.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput):
        read_workflow(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"w\.json"):
        read_workflow(tmp_path / "w.json")


def test_an_input_may_be_given_under_the_name_that_the_workflow_uses(tmp_path: Path) -> None:
    file = tmp_path / "IMG_1.png"
    file.write_bytes(b"x")
    assert named_input(str(file)) == ("IMG_1.png", file)
    assert named_input(f"photo.png={file}") == ("photo.png", file)
    with pytest.raises(NotFound, match="--input"):
        named_input("photo.png=nowhere.png")
