"""Scripts of node packs, from the engine's folder through worker and queue manager to a participant's page."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.node_packs import NODE_PACKS
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.web_ui import WebUiProcess
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.slow

WIDGET = "/extensions/demo-pack/widget.js"


@dataclass
class Chain:
    """The processes, and the engine's folder of packs."""

    packs: Path
    queue: QueueProcess
    worker: WorkerProcess
    alice: WebUiProcess


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Everything running and ready."""
    folder = tmp_path_factory.mktemp("packs-room")
    packs = shutil.copytree(NODE_PACKS, folder / "packs")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        queue = stack.enter_context(QueueProcess(folder / "queue", redis.url))
        variables = {"REHEARSAL_WEB_DIR": str(packs)}
        worker = stack.enter_context(WorkerProcess(folder / "worker", queue.url, environment=variables))
        alice = stack.enter_context(WebUiProcess(folder / "ui", queue.url, "alice"))
        yield Chain(packs, queue, worker, alice)


@pytest.fixture
def http(chain: Chain) -> Iterator[httpx.Client]:
    """A client at alice's web UI, as soon as it lists the packs."""
    with chain.alice.client() as client:
        wait_for(lambda: WIDGET in listed(client), "the page to list the pack's script")
        yield client


def listed(client: httpx.Client) -> list[str]:
    """The scripts that the page loads."""
    found: list[str] = client.get("/api/extensions").json()
    return found


def files_of(chain: Chain) -> dict[str, str]:
    """The queue manager's own list."""
    with chain.queue.client("alice") as client:
        files: dict[str, str] = client.get("/api/extensions").json()["files"]
        return files


def test_a_pack_on_the_worker_is_listed_and_served_to_the_page(chain: Chain, http: httpx.Client) -> None:
    scripts = [address for address in listed(http) if "/core/" not in address and "/comfyume/" not in address]
    assert scripts == ["/extensions/demo-pack/lib/words.js", WIDGET]
    assert http.get("/extensions").json() == listed(http)
    answer = http.get(WIDGET)
    assert answer.content == (NODE_PACKS / "demo-pack" / "widget.js").read_bytes()
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = http.get(WIDGET, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_a_script_names_comes_with_it_and_cannot_run_as_a_page(chain: Chain, http: httpx.Client) -> None:
    assert set(files_of(chain)) == {
        f"demo-pack/{name}" for name in ("widget.js", "lib/words.js", "look.css", "icon.svg")
    }
    style, icon = http.get("/extensions/demo-pack/look.css"), http.get("/extensions/demo-pack/icon.svg")
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    assert icon.headers["Content-Type"] == "image/svg+xml"
    assert "sandbox" in icon.headers["Content-Security-Policy"]
    assert http.get("/extensions/demo-pack/unnamed.txt").status_code == 404


def test_a_pack_takes_the_place_of_nothing_that_is_the_pages_own(http: httpx.Client) -> None:
    assert "taken" not in http.get("/extensions/comfyume/workshop.js").text
    assert "taken" not in http.get("/extensions/core/widgetInputs.js").text


@pytest.mark.parametrize(
    "name", ["..%2Fwidget.js", "demo-pack/..%2F..%2Fkeys.js", "demo-pack", "demo-pack/%00.js", "no/x.js"]
)
def test_a_name_that_no_worker_published_is_404(http: httpx.Client, name: str) -> None:
    assert http.get(f"/extensions/{name}").status_code == 404


def test_a_worker_publishes_for_itself_only_and_no_name_that_leads_out(chain: Chain) -> None:
    before = files_of(chain)
    with chain.queue.client("gpu-1") as worker:
        for name in ("../x.js", "x.js", "/a/x.js", "p/../../x.js", "p/.hidden.js", "core/x.js", "p/x.exe", "p/a\\b.js"):
            answer = worker.put("/api/workers/gpu-1/extensions", json={name: ""})
            assert answer.status_code == 422, (name, answer.text)
        refused: list[Any] = [[], {"p/x.js": 1}, {"p/x.js": "not base64!"}]
        for body in refused:
            assert worker.put("/api/workers/gpu-1/extensions", json=body).status_code == 422
        assert worker.put("/api/workers/gpu-2/extensions", json={"p/x.js": ""}).status_code == 403
    with chain.queue.client("alice") as alice:
        assert alice.put("/api/workers/gpu-1/extensions", json={"p/x.js": ""}).status_code == 403
    assert files_of(chain) == before


def test_a_pack_of_two_workers_is_one_of_theirs_whole(chain: Chain) -> None:
    with chain.queue.client("gpu-2") as other:
        other.put(
            "/api/workers/gpu-2/extensions", json={"demo-pack/newer.js": "", "second/x.js": ""}
        ).raise_for_status()
        assert set(files_of(chain)) == {"demo-pack/newer.js", "second/x.js"}
    # gpu-2 never registered a catalogue: when the others are looked at again, its files are forgotten.
    chain.worker.kill()
    chain.worker.start()
    wait_for(lambda: "demo-pack/widget.js" in files_of(chain), "the first worker's pack to count again")
    assert "second/x.js" not in files_of(chain)


def test_packs_stay_without_a_worker_and_change_when_it_comes_back(chain: Chain, http: httpx.Client) -> None:
    assert chain.worker.stop() == 0
    assert http.get(WIDGET).status_code == 200
    chain.queue.stop()
    chain.queue.start()
    assert "demo-pack/widget.js" in files_of(chain)
    widget = chain.packs / "demo-pack" / "widget.js"
    widget.write_text("// changed")
    shutil.copytree(chain.packs / "demo-pack", chain.packs / "added")
    chain.worker.start()
    wait_for(lambda: "/extensions/added/widget.js" in listed(http), "the added pack to be listed")
    assert http.get(WIDGET).text == "// changed"
    chain.worker.stop()
    for pack in chain.packs.iterdir():
        shutil.rmtree(pack)
    chain.worker.start()
    wait_for(lambda: files_of(chain) == {}, "packs that the worker lost to be gone")
    wait_for(lambda: http.get(WIDGET).status_code == 404, "the page's list to follow")
