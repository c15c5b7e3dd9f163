"""ComfyUI's routes at a participant's address: refusals in stock's form, files, settings, catalogue, the page."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.integration.web_ui.conftest import Room
from tests.support.web_ui import Tab, picture_graph

pytestmark = pytest.mark.slow


def png(colour: tuple[int, int, int, int], side: int = 8) -> bytes:
    """A plain picture."""
    buffer = BytesIO()
    Image.new("RGBA", (side, side), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def submit(room: Room, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """POST /api/prompt as alice."""
    with room.alice.client() as http:
        answer = http.post("/api/prompt", json=body)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "no_prompt"),
        ({"prompt": picture_graph(), "prompt_id": "ABC"}, "invalid_prompt_id"),
        ({"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}, "missing_node_type"),
        ({"prompt": {}}, "prompt_no_outputs"),
        ({"prompt": {"1": picture_graph()["1"]}}, "prompt_no_outputs"),
    ],
)
def test_a_broken_prompt_is_refused_in_stocks_words(room: Room, body: dict[str, Any], kind: str) -> None:
    status, answer = submit(room, body)
    assert (status, answer["error"]["type"]) == (400, kind)
    assert set(answer["error"]) == {"type", "message", "details", "extra_info"}


def test_an_error_in_a_node_is_painted_on_that_node(room: Room) -> None:
    graph = picture_graph()
    graph["1"]["inputs"]["width"] = 0
    status, answer = submit(room, {"prompt": graph})
    assert (status, answer["error"]["type"]) == (400, "prompt_outputs_failed_validation")
    assert answer["node_errors"]["1"]["errors"][0]["type"] == "value_smaller_than_min"
    assert answer["node_errors"]["1"]["class_type"] == "EmptyImage"


@pytest.mark.parametrize("name", ["nobody-has-this.png", "../secret.png", "/etc/passwd", "bob.png [output]"])
def test_a_picture_that_is_not_ones_own_is_refused_at_submit(room: Room, name: str) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    status, answer = submit(room, {"prompt": graph})
    assert status == 400, answer
    assert answer["node_errors"]["1"]["errors"]


def test_an_upload_is_named_as_stock_names_it(room: Room) -> None:
    red, blue = png((255, 0, 0, 255)), png((0, 0, 255, 255))
    with room.alice.client() as http:

        def upload(content: bytes, **fields: str) -> dict[str, Any]:
            answer = http.post("/api/upload/image", files={"image": ("a.png", content)}, data=fields)
            body: dict[str, Any] = answer.json()
            return body

        assert upload(red) == {"name": "a.png", "subfolder": "", "type": "input"}
        assert upload(red)["name"] == "a.png"
        assert upload(blue)["name"] == "a (1).png"
        assert upload(blue, overwrite="true")["name"] == "a.png"
        assert upload(red, subfolder="pasted") == {"name": "a.png", "subfolder": "pasted", "type": "input"}
        shown = http.get("/api/view?filename=a.png&type=input&subfolder=pasted")
        assert shown.content == red
        options = http.get("/api/object_info/LoadImage").json()["LoadImage"]["input"]["required"]["image"]
        assert {"a.png", "a (1).png", "pasted/a.png"} <= set(
            options[0] if options[0] != "COMBO" else options[1]["options"]
        )
    with room.bob.client() as http:
        assert http.get("/api/view?filename=a.png&type=input&subfolder=pasted").status_code == 404
        assert "pasted/a.png" not in http.get("/api/object_info/LoadImage").text


def test_the_mask_editor_saves_the_colours_of_one_and_the_transparency_of_the_other(room: Room) -> None:
    with room.alice.client() as http:
        http.post("/api/upload/image", files={"image": ("photo.png", png((10, 20, 30, 255)))})
        mask = png((0, 0, 0, 77))
        reference = '{"filename": "photo.png", "subfolder": "", "type": "input"}'
        answer = http.post(
            "/api/upload/mask",
            files={"image": ("masked.png", mask)},
            data={"original_ref": reference, "type": "input", "subfolder": "clipspace"},
        )
        assert answer.json() == {"name": "masked.png", "subfolder": "clipspace", "type": "input"}
        drawn = http.get("/api/view?filename=masked.png&type=input&subfolder=clipspace").content
        colours = http.get("/api/view?filename=masked.png&type=input&subfolder=clipspace&channel=rgb").content
        alpha = http.get("/api/view?filename=masked.png&type=input&subfolder=clipspace&channel=a").content
    assert Image.open(BytesIO(drawn)).getpixel((0, 0)) == (10, 20, 30, 77)
    assert Image.open(BytesIO(colours)).getpixel((0, 0)) == (10, 20, 30)
    assert Image.open(BytesIO(alpha)).getpixel((0, 0)) == (0, 0, 0, 77)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("filename=../../etc/passwd&type=input", 400),
        ("filename=/etc/passwd&type=input", 400),
        ("filename=a.png&type=nonsense", 400),
        ("filename=a.png&type=input&subfolder=../..", 403),
        ("filename=none.png&type=output", 404),
        ("filename=none.png&type=output&subfolder=job-99999", 404),
        ("filename=x&type=output&subfolder=job-1/..%2F..%2Fbob", 403),
    ],
)
def test_a_file_that_is_not_there_to_be_seen(room: Room, query: str, status: int) -> None:
    with room.alice.client() as http:
        answer = http.get(f"/api/view?{query}")
    assert answer.status_code == status, answer.text
    assert "/work" not in answer.text


def test_markup_is_only_ever_downloaded(room: Room) -> None:
    with room.alice.client() as http:
        for name in ("page.html", "drawing.svg", "script.js"):
            http.post("/api/upload/image", files={"image": (name, b"<svg onload=alert(1)>")})
            answer = http.get(f"/api/view?filename={name}&type=input")
            assert answer.headers["content-type"] == "application/octet-stream", name
            assert answer.headers["content-disposition"].startswith("attachment"), name
        as_picture = http.get("/api/view?filename=drawing.svg&type=input", headers={"Sec-Fetch-Dest": "image"})
        assert as_picture.headers["content-type"] == "image/svg+xml"


def test_saved_workflows_keep_their_encoded_slashes_and_do_not_overwrite(room: Room) -> None:
    with room.alice.client() as http:
        path = "/api/userdata/workflows%2Fsub%2Fportrait.json?overwrite=false&full_info=true"
        saved = http.post(path, json={"nodes": []})
        assert (saved.status_code, saved.json()["path"]) == (200, "workflows/sub/portrait.json")
        assert http.post(path, json={"nodes": [1]}).status_code == 409
        listed = http.get("/api/userdata?dir=workflows&recurse=true&split=false&full_info=true").json()
        assert [entry["path"] for entry in listed] == ["sub/portrait.json"]
        moved = http.post("/api/userdata/workflows%2Fsub%2Fportrait.json/move/workflows%2Fnew.json?overwrite=false")
        assert moved.json() == "workflows/new.json"
        assert http.get("/api/userdata/workflows%2Fnew.json").json() == {"nodes": []}
        assert http.delete("/api/userdata/workflows%2Fnew.json").status_code == 204
        assert http.get("/api/userdata/workflows%2Fnew.json").status_code == 404
        assert http.get("/api/userdata/workflows/new.json").status_code == 404
        assert http.get("/api/userdata/..%2F..%2Fbob.token").status_code == 403


def test_the_quota_refuses_in_one_sentence_after_it_has_warned(room: Room) -> None:
    with Tab(room.alice) as tab, room.alice.client() as http:
        assert http.post("/api/userdata/workflows%2Fbig.json", content=b"x" * 1_000_000).status_code == 200
        tab.until(lambda: any(data["event"] == "quota" for data in tab.of_kind("workshop")))
        answer = http.post("/api/userdata/workflows%2Fmore.json", content=b"x" * 200_000)
        assert answer.status_code == 507
        assert "delete some saved workflows" in answer.json()["error"]
        assert http.get("/api/userdata/workflows%2Fbig.json").status_code == 200
        http.delete("/api/userdata/workflows%2Fbig.json")


def test_settings_are_kept_one_by_one_and_begin_with_the_run_button_in_sight(room: Room) -> None:
    with room.bob.client() as http:
        assert http.get("/api/settings").json()["Comfy.TutorialCompleted"] is True
        http.post("/api/settings/Comfy.Snap", json=True)
        http.post("/api/settings", json={"Comfy.Grid": 20})
        settings = http.get("/api/settings").json()
        assert (settings["Comfy.Snap"], settings["Comfy.Grid"], settings["Comfy.TutorialCompleted"]) == (True, 20, True)
        assert http.get("/api/settings/Comfy.Never").json() is None
    with room.alice.client() as http:
        assert "Comfy.Snap" not in http.get("/api/settings").json()


def test_the_page_is_stock_with_one_script_in_front(room: Room) -> None:
    with room.alice.client() as http:
        html = http.get("/").text
        assert html.index('<script data-participant="alice">') < html.index("localStorage") < html.index("<link")
        assert "/extensions/comfyume/workshop.js" in http.get("/api/extensions").json()
        asset = html.partition('src="./')[2].partition('"')[0]
        assert "immutable" in http.get(f"/{asset}").headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    ["/api/nothing", "/%2e%2e/settings.py", "/extensions/comfyume/..%2f..%2fsettings.py", "/assets/../../x", "/x\0"],
)
def test_what_is_not_there_is_404_and_shows_nothing(room: Room, path: str) -> None:
    with room.alice.client() as http:
        answer = http.get(path.replace("\0", "%00"))
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_the_server_says_nothing_of_hosts_and_folders(room: Room) -> None:
    with room.alice.client() as http:
        everything = "".join(
            http.get(path).text
            for path in (
                "/system_stats",
                "/features",
                "/internal/folder_paths",
                "/experiment/models",
                "/internal/logs/raw",
            )
        )
    assert "/work" not in everything
    assert "/tmp" not in everything
    assert '"argv":[]' in everything


def test_the_templates_can_be_loaded_without_a_missing_node(room: Room) -> None:
    with room.alice.client() as http:
        known = set(http.get("/api/object_info").json())
        for group in http.get("/templates/index.json").json():
            for entry in group["templates"]:
                workflow = http.get(f"/templates/{entry['name']}.json").json()
                missing = _classes(workflow) - known
                assert not missing, (entry["name"], missing)


def _classes(workflow: dict[str, Any]) -> set[str]:
    """The node classes of a saved workflow, inside its subgraphs too; what only the page itself draws is left out."""
    subgraphs = workflow.get("definitions", {}).get("subgraphs", [])
    own = {"Note", "MarkdownNote", "Reroute", "PrimitiveNode"} | {subgraph["id"] for subgraph in subgraphs}
    nodes = [*workflow["nodes"], *(node for subgraph in subgraphs for node in subgraph["nodes"])]
    return {node["type"] for node in nodes} - own
