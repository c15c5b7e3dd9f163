"""What a person does at the stock page and looks for in it, one step a function."""

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.browser import PATIENCE_MS, go_to, load_graph, press_run, wait_until_usable, watch_the_network
from tests.support.workshop_room import Workshop, password_of

SHOWN_PICTURES = "() => window.app.graph.nodes.flatMap(node => (node.imgs ?? []).map(image => image.src))"
LONG = 600
"""Seconds of a run that a test ends itself: longer than anything takes on a loaded machine."""

CURRENT_NODE = "() => window.app.runningNodeId ?? null"
COLOUR = """() => {
  const image = window.app.graph.nodes.flatMap(node => node.imgs ?? [])[0];
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
  canvas.drawImage(image, 0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""


def new_context(browser: Browser) -> BrowserContext:
    """One more person's browser."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    watch_the_network(context)
    return context


def sign_in(page: Page, workshop: Workshop, name: str) -> None:
    """Through the form of the landing page, to the participant's own graph."""
    go_to(page, workshop.door.url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password_of(name))
    page.get_by_role("button", name="Open my workspace").click()
    page.wait_for_url(workshop.address(name))
    wait_until_usable(page)


def run(page: Page, graph: dict[str, object]) -> None:
    """Put a graph on the canvas and press Run."""
    load_graph(page, graph)
    press_run(page)


def wait_for_picture(page: Page) -> str:
    """The address of the picture that the canvas shows."""
    page.wait_for_function(f"() => ({SHOWN_PICTURES})().length > 0")
    pictures: list[str] = page.evaluate(SHOWN_PICTURES)
    return pictures[0]


def wait_for_node(page: Page) -> None:
    """Wait until a node is shown as the one that runs."""
    page.wait_for_function(CURRENT_NODE)


def colour_of_picture(page: Page) -> int:
    """The colour (0xRRGGBB) of the first picture on the canvas, averaged."""
    page.wait_for_function(
        "() => window.app.graph.nodes.flatMap(node => node.imgs ?? []).some(image => image.complete && image.width)"
    )
    red, green, blue = page.evaluate(COLOUR)
    return int(red) << 16 | int(green) << 8 | int(blue)


def expect_active(page: Page, count: int) -> None:
    """The counter beside the Run button says so many jobs."""
    expect(page.get_by_test_id("queue-overlay-toggle")).to_contain_text(f"{count} active")


def open_sidebar(page: Page, name: str) -> None:
    """Press one of the buttons at the left edge."""
    page.get_by_test_id("side-toolbar").get_by_role("button", name=name).click()


def expect_in_gallery(page: Page, filename: str) -> None:
    """The page's gallery shows a picture with this in its name."""
    open_sidebar(page, "Assets")
    shown = "name => [...document.images].some(image => image.src.includes(name) && image.naturalWidth > 0)"
    page.wait_for_function(shown, arg=filename)


def workflows(page: Page) -> Locator:
    """The list of saved workflows, opened."""
    open_sidebar(page, "Workflows")
    side = page.get_by_test_id("workflows-sidebar")
    expect(side).to_be_visible()
    return side


def title_of_node(page: Page, kind: str) -> tuple[float, float]:
    """Where on the screen the title of the first node of that class is."""
    x, y = page.evaluate(
        """kind => {
          const node = window.app.graph.nodes.find(node => node.type === kind), canvas = window.app.canvas;
          const [x, y] = canvas.ds.convertOffsetToCanvas([node.pos[0] + 60, node.pos[1] - 15]);
          const place = canvas.canvas.getBoundingClientRect();
          return [place.left + x, place.top + y];
        }""",
        kind,
    )
    return float(x), float(y)
