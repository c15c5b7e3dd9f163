"""A film-maker at the stock page, through the front door: signs in, runs, sees her place, her progress, her picture."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.steps import (
    LONG,
    colour_of_picture,
    expect_active,
    expect_in_gallery,
    new_context,
    run,
    sign_in,
    wait_for_node,
    wait_for_picture,
)
from tests.support.browser import graph_is, keep_screenshot, load_graph, press_run
from tests.support.web_ui import picture_graph, slow_graph
from tests.support.workshop_room import NAMES, Workshop

pytestmark = pytest.mark.slow


def test_the_landing_page_refuses_a_wrong_password_in_words(page: Page, workshop: Workshop) -> None:
    page.goto(workshop.door.url)
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill("guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is not right")


def test_the_first_visit_shows_a_graph_that_runs_to_its_picture_and_the_gallery(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    assert "KSampler" in graph_is(page)
    press_run(page)
    wait_for_picture(page)
    expect_active(page, 0)
    expect_in_gallery(page, "00001_.png")


def test_a_node_pack_of_the_workers_runs_its_script_and_its_style_in_the_page(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    assert page.evaluate("() => window.demoPack.words") == "the pack is here"
    page.wait_for_function("() => getComputedStyle(document.body).getPropertyValue('--demo-pack') === 'loaded'")
    assert page.evaluate("() => fetch(window.demoPack.icon).then(answer => answer.status)") == 200
    assert page.evaluate("() => window.taken ?? null") is None


def test_a_waiting_job_is_shown_with_its_place(page: Page, browser: Browser, workshop: Workshop) -> None:
    sign_in(page, workshop, "bob")
    run(page, slow_graph(LONG))
    wait_for_node(page)
    other = new_context(browser)
    waiting = other.new_page()
    sign_in(waiting, workshop, "carol")
    run(waiting, picture_graph())
    expect(waiting.locator("#comfyume-waiting")).to_contain_text("Your job is next")
    expect_active(waiting, 1)
    keep_screenshot(waiting, "waiting")
    page.get_by_role("button", name="Cancel current run").click()
    wait_for_picture(waiting)
    expect(waiting.locator("#comfyume-waiting")).to_be_hidden()
    other.close()


def test_a_validation_error_is_painted_on_its_node(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    graph = picture_graph()
    del graph["2"]["inputs"]["images"]
    run(page, graph)
    page.wait_for_function("() => Object.keys(window.app.lastNodeErrors ?? {}).length > 0")
    assert page.evaluate("() => Object.keys(window.app.lastNodeErrors)") == ["2"]
    painted = "() => window.app.graph.nodes.filter(node => node.has_errors).map(node => node.type)"
    page.wait_for_function(f"() => ({painted})().length > 0")
    assert page.evaluate(painted) == ["SaveImage"]


def test_three_at_the_same_time_see_their_own_picture_and_nobody_elses(browser: Browser, workshop: Workshop) -> None:
    colours = dict(zip(NAMES, (0xCC3322, 0x22AA44, 0x3355EE), strict=True))
    contexts = {name: new_context(browser) for name in NAMES}
    pages = {name: context.new_page() for name, context in contexts.items()}
    for name, page in pages.items():
        sign_in(page, workshop, name)
        load_graph(page, picture_graph(colours[name]))
    for page in pages.values():
        press_run(page)
    for name, page in pages.items():
        wait_for_picture(page)
        expect_active(page, 0)
        assert colour_of_picture(page) == colours[name]
        keep_screenshot(page, f"three-{name}")
    for context in contexts.values():
        context.close()


def test_one_browser_for_two_shows_the_second_nothing_of_the_first(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    load_graph(page, picture_graph(0x13579B))
    page.evaluate("() => window.app.extensionManager.setting.set('Comfy.SnapToGrid.GridSize', 37)")
    page.wait_for_function("() => Object.keys(localStorage).some(key => key.includes('Draft'))")
    sign_in(page, workshop, "bob")
    assert "EmptyImage" not in graph_is(page)
    assert page.evaluate("() => window.app.extensionManager.setting.get('Comfy.SnapToGrid.GridSize')") != 37
    stored = page.evaluate("() => JSON.stringify(Object.fromEntries(Object.entries(localStorage)))")
    assert str(0x13579B) not in stored
    sign_in(page, workshop, "alice")
    page.wait_for_function("() => window.app.graph.nodes.some(node => node.type === 'EmptyImage')")


def test_no_request_leaves_the_workshop(page: Page, workshop: Workshop) -> None:
    left: list[str] = []
    page.on("requestfailed", lambda request: left.append(f"{request.url} {request.failure}"))
    page.on("requestfinished", lambda request: left.append(request.url))
    sign_in(page, workshop, "alice")
    foreign = [text for text in left if text.startswith("http") and not text.startswith(workshop.door.url)]
    assert [text for text in foreign if not text.endswith(" csp")] == []
