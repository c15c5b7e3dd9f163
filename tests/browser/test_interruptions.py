"""What goes wrong in the middle of a run: it is cancelled, the page is loaded again, the connection breaks."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import LONG, expect_active, run, sign_in, wait_for_node, wait_for_picture
from tests.support.browser import keep_screenshot, open_page, press_run
from tests.support.wait import wait_for
from tests.support.web_ui import picture_graph, slow_graph
from tests.support.workshop_room import Workshop

pytestmark = pytest.mark.slow

LISTEN = """() => {
  window.progressSeen = 0;
  window.app.api.addEventListener('progress_state', () => { window.progressSeen += 1; });
}"""


def states_of(workshop: Workshop, name: str) -> list[str]:
    """The states of a participant's jobs, newest first."""
    with workshop.queue.client(name) as client:
        return [job["state"] for job in client.get("/api/jobs").json()["jobs"]]


def test_a_waiting_and_a_running_job_are_cancelled_with_the_pages_own_buttons(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "bob")
    run(page, slow_graph(LONG))
    wait_for_node(page)
    press_run(page)
    expect_active(page, 2)
    page.get_by_test_id("queue-overlay-toggle").click()
    overlay = page.get_by_test_id("queue-progress-overlay")
    expect(overlay).to_contain_text("1 running, 1 queued")
    keep_screenshot(page, "running-and-waiting")
    overlay.get_by_role("button", name="Clear queued").click()
    expect_active(page, 1)
    page.get_by_role("button", name="Cancel current run").click()
    expect_active(page, 0)
    wait_for(lambda: states_of(workshop, "bob")[:2] == ["cancelled", "cancelled"], "both jobs to be cancelled")
    run(page, picture_graph())
    wait_for_picture(page)


def test_a_reload_in_the_middle_of_a_run_shows_the_node_again(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    run(page, slow_graph(LONG))
    wait_for_node(page)
    open_page(page, workshop.address("alice"))
    page.evaluate(LISTEN)
    wait_for_node(page)
    page.wait_for_function("() => window.progressSeen > 1")
    expect_active(page, 1)
    keep_screenshot(page, "reloaded")


def test_the_canvas_goes_on_after_the_connection_broke(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    run(page, slow_graph(LONG))
    wait_for_node(page)
    page.evaluate(LISTEN)
    workshop.door.stop()
    try:
        expect(page.get_by_text("Reconnecting").first).to_be_visible()
        keep_screenshot(page, "reconnecting")
        page.evaluate("() => { window.progressSeen = 0; }")
    finally:
        workshop.door.start()
    page.wait_for_function("() => window.progressSeen > 1")
    expect_active(page, 1)


def test_a_picture_that_was_made_while_the_connection_was_away_is_shown(page: Page, workshop: Workshop) -> None:
    sign_in(page, workshop, "alice")
    run(page, slow_graph(3))
    wait_for_node(page)
    workshop.door.stop()
    try:
        wait_for(lambda: states_of(workshop, "alice")[0] == "succeeded", "the job to end")
    finally:
        workshop.door.start()
    page.wait_for_function("() => window.app.graph.nodes.find(node => node.type === 'SaveImage').imgs?.length > 0")
    expect_active(page, 0)
