"""Image to image: a picture of one's own is uploaded, masked in the page's editor, and comes back changed."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.steps import expect_active, expect_in_gallery, sign_in, title_of_node
from tests.support.browser import keep_screenshot, load_graph, press_run
from tests.support.workshop_room import Workshop

pytestmark = pytest.mark.slow

GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "changed"}},
    "4": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 1]}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "mask"}},
}
LOADED = "window.app.graph.nodes.find(node => node.type === 'LoadImage')"
SAVED = """prefix => {
  const saver = window.app.graph.nodes.find(node => node.widgets?.some(widget => widget.value === prefix));
  return saver.imgs?.[0]?.src ?? null;
}"""


def upload(page: Page, picture: Path) -> None:
    """Press the upload button of the Load Image node and choose a file."""
    with page.expect_file_chooser() as chooser:
        page.evaluate(f"() => {LOADED}.widgets.find(widget => widget.name === 'upload').callback()")
    chooser.value.set_files(picture)
    page.wait_for_function(f"() => {LOADED}.imgs?.[0]?.src.includes('photo')")


def paint_a_mask(page: Page) -> None:
    """Open the mask editor from the node's menu, draw a line through the middle, and save."""
    page.mouse.click(*title_of_node(page, "LoadImage"), button="right")
    page.get_by_text("Open in MaskEditor").click()
    editor = page.get_by_test_id("mask-editor-root")
    expect(editor.get_by_test_id("zoom-dimensions")).to_have_text("256x256")
    place = page.locator("#maskEditorCanvasContainer").bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x - 100, y)
    page.mouse.down()
    page.mouse.move(x, y, steps=8)
    page.mouse.move(x + 100, y, steps=8)
    page.mouse.up()
    keep_screenshot(page, "mask-editor")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(editor).to_have_count(0)
    page.wait_for_function(f"() => {LOADED}.widgets[0].value.startsWith('clipspace')")


def saved_picture(page: Page, prefix: str) -> Image.Image:
    """The picture that the Save Image node with that prefix shows."""
    page.wait_for_function(SAVED, arg=prefix)
    answer = page.request.get(page.evaluate(SAVED, prefix))
    assert answer.status == 200
    return Image.open(BytesIO(answer.body())).convert("RGB")


def test_an_uploaded_and_masked_picture_comes_back_changed_and_in_the_gallery(
    page: Page, workshop: Workshop, tmp_path: Path
) -> None:
    Image.new("RGB", (256, 256), (200, 60, 60)).save(tmp_path / "photo.png")
    sign_in(page, workshop, "bob")
    load_graph(page, GRAPH)
    upload(page, tmp_path / "photo.png")
    paint_a_mask(page)
    press_run(page)
    changed, mask = saved_picture(page, "changed"), saved_picture(page, "mask")
    assert changed.getpixel((10, 10)) == pytest.approx((55, 195, 195), abs=2)  # the editor's canvas rounds
    assert (mask.getpixel((10, 10)), mask.getpixel((128, 128))) == ((0, 0, 0), (255, 255, 255))
    expect_active(page, 0)
    expect_in_gallery(page, "changed_00001_.png")
