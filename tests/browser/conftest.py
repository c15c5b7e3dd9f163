"""The whole workshop behind its front door, and a browser: what a participant at home would have."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browser import chromium, keep_screenshot
from tests.support.workshop_room import Workshop, workshop_room


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Everything running and ready."""
    with workshop_room(tmp_path_factory.mktemp("workshop")) as room:
        yield room


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file's tests. Not for the session: Playwright's loop would be in the way of async tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: its own cookies and storage."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1400, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab; what it shows at the end of the test is kept."""
    page = context.new_page()
    yield page
    keep_screenshot(page, request.node.name)
