"""A page load as a browser sees it: Chromium on a line of 20 Mbit/s and 40 ms, with an empty and with a full cache."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.benchmarks.turns import Sample
from tests.support.browser import FLAGS

MEGABITS, LATENCY_MS = 20, 40
LINE = {
    "offline": False, "latency": LATENCY_MS,
    "downloadThroughput": MEGABITS * 1e6 / 8, "uploadThroughput": MEGABITS * 1e6 / 8,
}  # fmt: skip
PATIENCE_MS = 300_000

READY = """() => window.app?.graph?.nodes && window.app.extensionManager
    && !document.querySelector('#splash-loader') && performance.now()"""
"""Milliseconds since the address was entered, once the graph can be used."""

FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@dataclass(frozen=True)
class Cookie:
    """What a signed-in browser has."""

    name: str
    value: str


@asynccontextmanager
async def chromium(flags: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """A running browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise RuntimeError("Chromium is missing: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


async def load_twice(browser: Browser, address: str, cookie: Cookie | None = None) -> Sample:
    """Seconds until the first paint and until the graph can be used: `cold_*` in a fresh profile, `warm_*` again."""
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    if cookie is not None:
        await context.add_cookies([{"name": cookie.name, "value": cookie.value, "url": address, "secure": True}])
    try:
        cold, warm = await _load(context, address), await _load(context, address)
    finally:
        await context.close()
    return {f"cold_{name}": value for name, value in cold.items()} | {
        f"warm_{name}": value for name, value in warm.items()
    }


async def _load(context: BrowserContext, address: str) -> Sample:
    page = await context.new_page()
    wire = await context.new_cdp_session(page)
    asked, received = dict[str, str](), list[float]()
    wire.on("Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["request"]["url"]}))
    wire.on("Network.loadingFinished", lambda event: received.append(_bytes_on_the_line(asked, event)))
    await wire.send("Network.enable")
    await wire.send("Network.emulateNetworkConditions", LINE)
    await page.goto(address, wait_until="commit", timeout=PATIENCE_MS)
    ready = await (await page.wait_for_function(READY, timeout=PATIENCE_MS)).json_value()
    painted = await page.evaluate(FIRST_PAINT)
    await page.close()
    requests = [size for size in received if size]
    return {"ready": ready / 1e3, "paint": painted / 1e3, "megabytes": sum(received) / 1e6, "requests": len(requests)}


def _bytes_on_the_line(asked: dict[str, str], finished: dict[str, Any]) -> float:
    """What one answer took of the line: nothing from the cache, nothing for data in the address itself."""
    inline = asked.get(finished["requestId"], "data:").startswith("data:")
    return 0.0 if inline else float(finished["encodedDataLength"])
