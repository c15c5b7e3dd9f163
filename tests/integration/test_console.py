"""The console over HTTP: who is let in, what is refused, and what happens while the queue manager is away."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.admin.app import create_app
from services.admin.settings import AdminSettings
from tests.support.console import ConsoleProcess
from tests.support.http_routes import addresses as routes_of
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer

SECRET = "through-the-door"
INES = {"X-Door-Secret": SECRET, "X-Auth-Name": "ines", "X-Auth-Role": "instructor"}
OTTO = INES | {"X-Auth-Name": "otto", "X-Auth-Role": "operator"}
ALICE = INES | {"X-Auth-Name": "alice", "X-Auth-Role": "participant"}
WORKER = INES | {"X-Auth-Name": "gpu-1", "X-Auth-Role": "worker"}


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application without its lifespan: nothing is watched, only asked."""
    app = create_app(AdminSettings(token_file=tmp_path / "token", door_secret=SECRET, queue_url="http://127.0.0.1:9"))
    state = {"settings": AdminSettings(token_file=tmp_path, door_secret=SECRET), "board": app.state.board}
    transport = httpx.ASGITransport(app=_with_state(app, state))
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
        yield client


def _with_state(app: Any, state: dict[str, Any]) -> Any:
    async def run(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": state}, receive, send)

    return run


def addresses() -> list[str]:
    """Every address but the one for the host's probe, with something in each parameter."""
    app = create_app(AdminSettings(token_file=Path("token"), door_secret=SECRET))
    paths = {path for _method, path in routes_of(app)}
    return sorted(path.replace("{name}", "console.js") for path in paths if path != "/healthz")


@pytest.mark.parametrize("path", addresses())
@pytest.mark.parametrize("who", [ALICE, WORKER], ids=["participant", "worker"])
async def test_every_address_is_for_instructor_and_operator_only(
    console: httpx.AsyncClient, path: str, who: dict[str, str]
) -> None:
    answer = await console.get(path, headers=who)
    assert (answer.status_code, "instructor and the operator" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize("path", addresses())
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Auth-Name": "ines", "X-Auth-Role": "instructor"}, 403),
        (INES | {"X-Door-Secret": "guess"}, 403),
        ({"X-Door-Secret": SECRET}, 401),
        (INES | {"X-Auth-Role": "god"}, 401),
        (INES | {"Origin": "https://elsewhere.example"}, 403),
        (INES | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
    ],
)
async def test_what_did_not_come_through_the_door_or_from_its_own_page_is_refused(
    console: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await console.get(path, headers=headers)
    assert answer.status_code == status
    assert SECRET not in answer.text


@pytest.mark.parametrize("who", [INES, OTTO], ids=["instructor", "operator"])
async def test_staff_gets_the_page_with_a_policy_that_runs_nothing_else(
    console: httpx.AsyncClient, who: dict[str, str]
) -> None:
    answer = await console.get("/", headers=who | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert " on" + "click" not in answer.text


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e%2fsettings.py", "console.js%00"])
async def test_only_the_pages_own_files_are_served(console: httpx.AsyncClient, name: str) -> None:
    answer = await console.get(f"/static/{name}", headers=INES)
    assert answer.status_code == 404
    page = await console.get(f"/static/{name}", headers=INES | {"Accept": "text/html"})
    assert (page.status_code, "<h1>" in page.text) == (404, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(console: httpx.AsyncClient, method: str) -> None:
    for path in addresses():
        assert (await console.request(method, path, headers=OTTO)).status_code in (404, 405)


@dataclass
class Live:
    """A console and its queue manager, as processes."""

    console: ConsoleProcess
    queue: QueueProcess

    def panels(self, until: Any) -> None:
        """Read the stream until one panel satisfies `until(name, content)`."""
        url = f"http://{self.console.address}/live"
        with httpx.stream("GET", url, headers=INES, timeout=120) as stream:
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: ") and until(name, json.loads(line.removeprefix("data: "))):
                    return
        raise AssertionError("the stream ended")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        queue = stack.enter_context(QueueProcess(tmp_path / "queue", redis.url))
        yield Live(stack.enter_context(ConsoleProcess(tmp_path / "console", queue.url, SECRET)), queue)


@pytest.mark.slow
def test_a_queue_manager_that_goes_and_comes_back_is_told_and_followed_again(live: Live) -> None:
    live.panels(lambda name, panel: name == "room" and panel["waiting"] == 0)
    live.queue.kill()
    live.panels(lambda name, panel: name == "queue" and "does not answer" in (panel["problem"] or ""))
    live.queue.start()
    live.panels(lambda name, panel: name == "queue" and panel["problem"] is None)
    with live.queue.client("alice") as alice:
        alice.post("/api/jobs", json={"workflow": {"1": {"class_type": "EmptyImage", "inputs": {}}}})
    live.panels(lambda name, panel: name == "room" and [job["participant"] for job in panel["jobs"]] == ["alice"])


@pytest.mark.slow
def test_a_credential_that_is_no_operators_is_named(live: Live) -> None:
    live.console.token_file.write_text("cme_" + "x" * 43)
    live.panels(lambda name, panel: name == "queue" and "refuses the console's credential" in (panel["problem"] or ""))


@pytest.mark.slow
def test_it_ends_in_order_while_somebody_watches(live: Live) -> None:
    with httpx.stream("GET", f"http://{live.console.address}/live", headers=INES, timeout=120) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert live.console.stop() == 0
    log = live.console.log.read_text()
    assert "cme_" not in log
    assert "HTTP Request" not in log, "a line for each question would fill the disk"
