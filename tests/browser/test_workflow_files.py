"""Workflows in the stock page: templates, what the instructor published, and one's own in folders."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import open_sidebar, sign_in, workflows
from tests.support.browser import graph_is, keep_screenshot, load_graph, open_page
from tests.support.web_ui import picture_graph
from tests.support.workshop_room import Workshop

pytestmark = pytest.mark.slow

MISSING = "Missing node"


def listed_templates(page: Page) -> list[str]:
    """The names of the templates that the page offers."""
    groups: list[dict[str, Any]] = page.evaluate("() => fetch('templates/index.json').then(answer => answer.json())")
    return [entry["name"] for group in groups for entry in group["templates"]]


def test_every_template_opens_from_its_card_without_a_missing_node(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    names = listed_templates(page)
    assert len(names) == 5
    for name in names:
        open_sidebar(page, "Templates")
        page.get_by_test_id(f"template-workflow-{name}").click()
        expect(page.get_by_test_id("topbar-workflow-tabs")).to_contain_text(name)
        page.wait_for_function("() => window.app.graph.nodes.length > 0")
        expect(page.get_by_text(MISSING)).to_have_count(0)
        keep_screenshot(page, f"template-{name}")


def test_a_workflow_with_a_missing_node_says_so(page: Page, workshop: Workshop) -> None:
    """The counterpart: without it the test above would pass for any words."""
    sign_in(page, workshop, "alice")
    node = {"id": 1, "type": "NoSuchNode", "pos": [100, 100], "size": [200, 100], "flags": {}, "order": 0, "mode": 0}
    page.evaluate("graph => window.app.loadGraphData(graph)", {"nodes": [node], "links": [], "version": 0.4})
    expect(page.get_by_text(MISSING).first).to_be_visible()


def test_a_workflow_is_saved_in_a_folder_opened_again_renamed_and_deleted(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "carol")
    load_graph(page, picture_graph(0x2468AC))
    page.keyboard.press("Control+s")
    page.get_by_role("dialog").get_by_role("textbox").fill("lessons/one")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("topbar-workflow-tabs")).to_contain_text("one")
    open_page(page, workshop.address("carol"))
    load_graph(page, {"1": {"class_type": "EmptyImage", "inputs": {}}})
    side = workflows(page)
    side.get_by_role("treeitem", name="lessons").click()
    side.get_by_role("treeitem", name="one").last.click()
    page.wait_for_function("() => window.app.graph.nodes.some(node => node.type === 'SaveImage')")
    assert graph_is(page) == ["EmptyImage", "SaveImage"]
    side.get_by_role("treeitem", name="one").last.click(button="right")
    page.get_by_role("menuitem", name="Rename").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    renamed = side.get_by_role("treeitem", name="two").last
    expect(renamed).to_be_visible()
    keep_screenshot(page, "saved-workflow")
    renamed.click(button="right")
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(side.get_by_role("treeitem", name="two")).to_have_count(0)
    assert page.evaluate("() => window.app.api.listUserDataFullInfo('workflows')") == []


def test_what_the_instructor_publishes_is_in_the_template_list(page: Page, workshop: Workshop) -> None:
    canvas = {"nodes": [], "links": [], "version": 0.4, "extra": {"note": "first lesson"}}
    with workshop.queue.client("ines") as ines:
        ines.put("/api/workflows/Lesson 1", json=canvas).raise_for_status()
    sign_in(page, workshop, "bob")
    open_sidebar(page, "Templates")
    card = page.get_by_test_id("template-workflow-Lesson 1")
    expect(card).to_be_visible()
    keep_screenshot(page, "published-workflow")
    card.click()
    page.wait_for_function("() => window.app.graph.extra.note === 'first lesson'")
