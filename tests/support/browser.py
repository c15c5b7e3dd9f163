"""A real Chromium (Debian's) on a participant's page, driven by Playwright; a screenshot is kept when a test fails."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Request,
    TimeoutError,
    expect,
    sync_playwright,
)

PATIENCE_MS = 120_000
"""A loaded machine needs half a minute for the stock page alone."""

LOOK_AGAIN_MS = 5_000
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
_DISTURBED: WeakSet[Page] = WeakSet()

USABLE = """() => window.app?.graph?.nodes.length >= 0 && window.app.extensionManager
  && !document.querySelector('#splash-loader')"""

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip

SCREENSHOTS = Path(__file__).parents[2] / "out" / "screenshots"
"""Ignored by git; what the pages looked like in the last run."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or os.environ.get("CHROMIUM")
    assert program, "Chromium is missing: apt-get install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(page: Page, address: str) -> None:
    """Open a participant's address and wait until the graph can be used."""
    page.set_default_timeout(PATIENCE_MS)
    go_to(page, address)
    wait_until_usable(page)


def watch_the_network(context: BrowserContext) -> None:
    """Note pages whose requests the browser gave up because a network interface of the machine came or went.

    Chromium breaks off everything then, also what goes to this very machine; containers that start or stop do that.
    """

    def note(request: Request) -> None:
        if NETWORK_CHANGED in (request.failure or ""):
            _DISTURBED.add(request.frame.page)

    context.on("requestfailed", note)


def go_to(page: Page, address: str) -> None:
    """Open an address; once more when the network changed meanwhile."""
    for _ in range(5):
        try:
            page.goto(address, wait_until="load", timeout=PATIENCE_MS)
        except Error as error:
            if NETWORK_CHANGED not in error.message:
                raise
        else:
            return


def wait_until_usable(page: Page) -> None:
    """Wait until the page that is just loading shows its graph; load it again when the network changed meanwhile."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while True:
        try:
            page.wait_for_function(USABLE, timeout=LOOK_AGAIN_MS)
        except TimeoutError:
            if page in _DISTURBED:
                _DISTURBED.discard(page)
                page.reload(timeout=PATIENCE_MS)
            elif time.monotonic() > end:
                raise
        else:
            return


def keep_screenshot(page: Page, name: str) -> None:
    """Keep what the page looks like now."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def graph_is(page: Page) -> list[str]:
    """The node classes on the canvas."""
    kinds: list[str] = page.evaluate("() => window.app.graph.nodes.map(node => node.type).sort()")
    return kinds


def load_graph(page: Page, workflow: dict[str, object]) -> None:
    """Put an API-format workflow on the canvas, as dropping its file would."""
    page.evaluate("workflow => window.app.loadApiJson(workflow, 'test')", workflow)


def press_run(page: Page) -> None:
    """The Run button."""
    page.get_by_test_id("queue-button").first.click()
