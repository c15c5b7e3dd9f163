"""The console through the front door, in a real browser: the instructor sees everybody, a participant nobody."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from services.domain.names import Role
from tests.browser.steps import new_context, sign_in
from tests.support.browser import PATIENCE_MS, SCREENSHOTS, keep_screenshot
from tests.support.console import ConsoleProcess, stack_outputs, write_outputs
from tests.support.wait import wait_for
from tests.support.web_ui import slow_graph
from tests.support.workshop_room import DOOR_SECRET, Workshop, password_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def console(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """A console in the workshop, behind its front door, with an instructor's account."""
    if "ines" not in {file.stem for file in (workshop.folder / "accounts").iterdir()}:
        workshop.accounts.add("ines", Role.INSTRUCTOR, password_of("ines"))
    with ConsoleProcess(tmp_path_factory.mktemp("console"), workshop.queue.url, DOOR_SECRET) as process:
        workshop.door.configure(workshop.configuration.model_copy(update={"admin": process.address}))
        workshop.door.reload()
        auth = ("ines", password_of("ines"))
        url = f"{workshop.door.url}/admin/"
        wait_for(
            lambda: httpx.get(url, verify=workshop.door.trust, auth=auth, timeout=60).status_code == 200,
            "the front door to lead to the console",
        )
        yield process
        workshop.door.configure(workshop.configuration)
        workshop.door.reload()


def enter(page: Page, workshop: Workshop) -> list[str]:
    """Sign in as the instructor, by keyboard, and gather what the browser complains about."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(workshop.door.url)
    page.keyboard.type("ines")
    page.keyboard.press("Tab")
    page.keyboard.type(password_of("ines"))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{workshop.door.url}/admin/")
    expect(page.locator("#connection")).to_have_text("live")
    return complaints


def test_the_instructor_sees_a_participants_job_run_and_go(
    page: Page, workshop: Workshop, console: ConsoleProcess
) -> None:
    health = f"http://{workshop.sign_in.address}/healthz"
    write_outputs(console.outputs, stack_outputs(auth=health, queue_manager=f"{workshop.queue.url}/readyz"))
    complaints = enter(page, workshop)
    expect(page.locator("#jobs")).to_contain_text("Nobody waits.")
    with workshop.queue.client("alice") as alice:
        answers = [
            alice.post("/api/jobs", json={"workflow": slow_graph(), "label": label})
            for label in ("a <b>slow</b> take", "the take after it")
        ]
        assert [answer.status_code for answer in answers] == [202, 202]
        rows = page.locator("#jobs tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("alice")
        expect(rows.first).to_contain_text("a <b>slow</b> take")
        expect(rows.first).to_contain_text("running")
        expect(rows.first.locator("progress")).to_be_visible()
        expect(rows.nth(1)).to_contain_text("queued")
        expect(page.locator("#worker-rows")).to_contain_text("busy: alice")
        expect(page.locator("#container-rows")).to_contain_text("healthy")
        keep_screenshot(page, "console")
        alice.post("/api/jobs/cancel", json={"states": ["queued", "running"]}).raise_for_status()
        expect(page.locator("#jobs")).to_contain_text("Nobody waits.")
    assert complaints == []


def test_a_container_that_falls_silent_is_seen_and_new_outputs_appear(
    page: Page, workshop: Workshop, console: ConsoleProcess
) -> None:
    write_outputs(console.outputs, stack_outputs(auth=f"http://{workshop.sign_in.address}/healthz"))
    enter(page, workshop)
    row = page.locator("#container-rows tr", has_text="comfyume-test-auth")
    expect(row).to_contain_text("healthy")
    write_outputs(console.outputs, stack_outputs(auth="http://127.0.0.1:9/healthz"))
    expect(row).to_contain_text("no answer")
    expect(page.locator("#host-rows tr", has_text="comfyume-test-app")).to_contain_text("0 of 1 well")
    expect(page.locator("#container-rows")).to_contain_text("comfyume-test-frontend-alice")
    console.outputs.unlink()
    expect(page.locator("#stack-problem")).to_have_text(
        "There are no stack outputs: this workshop runs on one machine."
    )


def test_it_works_by_keyboard_and_on_a_phone(browser: Browser, workshop: Workshop, console: ConsoleProcess) -> None:
    write_outputs(console.outputs, stack_outputs(auth=f"http://{workshop.sign_in.address}/healthz"))
    phone = browser.new_context(ignore_https_errors=True, viewport={"width": 390, "height": 844})
    page = phone.new_page()
    enter(page, workshop)
    expect(page.locator("#container-rows")).to_contain_text("healthy")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("To the room")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_id("room")
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=SCREENSHOTS / "console-phone.png", full_page=True)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{workshop.door.url}/")
    assert phone.request.get(f"{workshop.door.url}/admin/").status == 401
    phone.close()


def test_a_participant_is_not_let_into_the_console(
    browser: Browser, workshop: Workshop, console: ConsoleProcess
) -> None:
    context = new_context(browser)
    page = context.new_page()
    sign_in(page, workshop, "alice")
    basic = httpx.BasicAuth("alice", password_of("alice"))
    with httpx.Client(base_url=workshop.door.url, verify=workshop.door.trust, auth=basic, timeout=60) as client:
        assert {client.get(f"/admin/{path}").status_code for path in ("", "live", "static/console.js")} == {403}
    answer = context.request.get(f"{workshop.door.url}/admin/")
    assert answer.status == 401, "her session is for her own workspace only"
    context.close()
