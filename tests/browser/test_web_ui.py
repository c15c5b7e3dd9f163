"""A film-maker at the stock page, through the front door: signs in, runs, sees, cancels, saves, reloads."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser import graph_is, keep_screenshot, load_graph, open_page, press_run
from tests.support.web_ui import picture_graph, slow_graph
from tests.support.workshop_room import Workshop, password_of

pytestmark = pytest.mark.slow

SHOWN_PICTURES = "() => window.app.graph.nodes.flatMap(node => (node.imgs ?? []).map(image => image.src))"
CURRENT_NODE = "() => window.app.runningNodeId ?? null"
ACTIVE = "0 active"


def sign_in(page: Page, workshop: Workshop, name: str) -> None:
    """Through the form of the landing page, to the participant's own graph."""
    page.goto(workshop.door.url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password_of(name))
    page.get_by_role("button", name="Open my workspace").click()
    open_page(page, workshop.address(name))


def wait_for_picture(page: Page) -> str:
    """The address of the picture that the canvas shows."""
    page.wait_for_function(f"() => ({SHOWN_PICTURES})().length > 0")
    pictures: list[str] = page.evaluate(SHOWN_PICTURES)
    return pictures[0]


def test_the_landing_page_refuses_a_wrong_password_in_words(page: Page, workshop: Workshop) -> None:
    page.goto(workshop.door.url)
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill("guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is not right")


def test_the_first_visit_shows_a_graph_that_runs_to_its_picture(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    assert "KSampler" in graph_is(page)
    expect(page.get_by_text("Missing node")).to_have_count(0)
    press_run(page)
    wait_for_picture(page)
    expect(page.get_by_test_id("queue-overlay-toggle")).to_contain_text(ACTIVE)


def test_every_template_loads_without_a_missing_node(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    groups: list[dict[str, Any]] = page.evaluate("() => fetch('templates/index.json').then(answer => answer.json())")
    names = [entry["name"] for group in groups for entry in group["templates"]]
    assert len(names) == 5
    for name in names:
        load = "name => fetch(`templates/${name}.json`).then(answer => answer.json()).then(g => app.loadGraphData(g))"
        page.evaluate(load, name)
        page.wait_for_function("() => window.app.graph.nodes.length > 0")
        expect(page.get_by_text("Missing node")).to_have_count(0)
        keep_screenshot(page, f"template-{name}")


def test_a_waiting_job_is_shown_with_its_place_and_can_be_cancelled(
    page: Page, context: BrowserContext, workshop: Workshop
) -> None:
    sign_in(page, workshop, "bob")
    load_graph(page, slow_graph())
    press_run(page)
    page.wait_for_function(CURRENT_NODE)
    other = context.browser.new_context(ignore_https_errors=True) if context.browser else context
    waiting = other.new_page()
    sign_in(waiting, workshop, "carol")
    load_graph(waiting, picture_graph())
    press_run(waiting)
    expect(waiting.locator("#comfyume-waiting")).to_contain_text("Your job is next")
    keep_screenshot(waiting, "waiting")
    expect(waiting.get_by_test_id("queue-overlay-toggle")).to_contain_text("1 active")
    waiting.evaluate("() => window.app.api.interrupt === undefined || window.app.api.clearItems('queue')")
    expect(waiting.get_by_test_id("queue-overlay-toggle")).to_contain_text(ACTIVE)
    page.evaluate("() => window.app.api.interrupt()")
    expect(page.get_by_test_id("queue-overlay-toggle")).to_contain_text(ACTIVE)
    other.close()


def test_a_reload_in_the_middle_of_a_run_shows_the_node_again(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    load_graph(page, slow_graph())
    press_run(page)
    page.wait_for_function(CURRENT_NODE)
    open_page(page, workshop.address("alice"))
    page.wait_for_function(CURRENT_NODE)
    expect(page.get_by_test_id("queue-overlay-toggle")).to_contain_text("1 active")
    page.evaluate("() => window.app.api.interrupt()")
    expect(page.get_by_test_id("queue-overlay-toggle")).to_contain_text(ACTIVE)


def test_a_validation_error_is_painted_on_its_node(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    graph = picture_graph()
    del graph["2"]["inputs"]["images"]
    load_graph(page, graph)
    press_run(page)
    page.wait_for_function("() => Object.keys(window.app.lastNodeErrors ?? {}).length > 0")
    assert page.evaluate("() => Object.keys(window.app.lastNodeErrors)") == ["2"]


def test_a_workflow_is_saved_in_a_folder_opened_again_renamed_and_deleted(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    outcome = page.evaluate(
        """async () => {
          const api = window.app.api, graph = JSON.stringify(window.app.graph.serialize());
          const options = { overwrite: false, stringify: false };
          const saved = await api.storeUserData('workflows/lessons/one.json', graph, options);
          const opened = await (await api.getUserData('workflows/lessons/one.json')).json();
          const moved = await api.moveUserData('workflows/lessons/one.json', 'workflows/lessons/two.json');
          const listed = await api.listUserDataFullInfo('workflows');
          const deleted = await api.deleteUserData('workflows/lessons/two.json');
          return [saved.status, opened.nodes.length, moved.status, listed.map(file => file.path), deleted.status];
        }"""
    )
    assert outcome == [200, len(graph_is(page)), 200, ["lessons/two.json"], 204]


def test_one_browser_for_two_shows_the_second_nothing_of_the_first(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    load_graph(page, picture_graph(0x13579B))
    page.evaluate("() => window.app.extensionManager.setting.set('Comfy.SnapToGrid.GridSize', 37)")
    page.wait_for_function("() => Object.keys(localStorage).some(key => key.includes('Draft'))")
    before = page.evaluate("() => [Object.keys(localStorage).length, window.name]")
    assert before[0] > 0
    sign_in(page, workshop, "bob")
    assert "EmptyImage" not in graph_is(page)
    assert page.evaluate("() => window.app.extensionManager.setting.get('Comfy.SnapToGrid.GridSize')") != 37
    stored = page.evaluate("() => JSON.stringify(Object.fromEntries(Object.entries(localStorage)))")
    assert str(0x13579B) not in stored
    sign_in(page, workshop, "alice")
    page.wait_for_function("() => window.app.graph.nodes.some(node => node.type === 'EmptyImage')")


def test_no_request_leaves_the_workshop(page: Page, workshop: Workshop) -> None:
    foreign: list[str] = []
    page.on("response", lambda answer: foreign.append(answer.url) if workshop.door.url not in answer.url else None)
    sign_in(page, workshop, "alice")
    assert [url for url in foreign if url.startswith("http")] == []
