"""The whole workshop behind its front door, and a browser: what a participant at home would have."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.steps import new_context
from tests.support.browser import SCREENSHOTS, chromium, keep_screenshot
from tests.support.node_packs import NODE_PACKS
from tests.support.workshop_room import Workshop, workshop_room


@pytest.fixture(scope="package")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Everything running and ready; the engine has a node pack with scripts of its own."""
    with workshop_room(tmp_path_factory.mktemp("workshop"), engine={"WEB_DIR": str(NODE_PACKS)}) as room:
        yield room


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for these files. Not for the session: Playwright's loop would be in the way of async tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: its own cookies and storage."""
    context = new_context(browser)
    yield context
    context.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_in_the_queue(workshop: Workshop) -> Iterator[None]:
    """A test that failed halfway must not make the next one wait."""
    yield
    for name in workshop.web_uis:
        with workshop.queue.client(name) as client:
            client.post("/api/jobs/cancel", json={"states": ["queued", "running"]}).raise_for_status()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab; what it shows at the end of the test is kept, and what it complained of."""
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    page.on("requestfailed", lambda failed: said.append(f"failed: {failed.url} {failed.failure}"))
    page.on("response", lambda answer: said.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    yield page
    keep_screenshot(page, request.node.name)
    (SCREENSHOTS / f"{request.node.name}.log").write_text("\n".join(said))
