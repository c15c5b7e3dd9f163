"""A web UI that is made to eat memory ends alone in its container and is back at once; the others answer meanwhile."""

import datetime
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from infra.rehearsal.docker_engine import make_base, running_engine
from infra.rehearsal.machine_image import BASE
from tests.images.engine import HARDENED, Container, Network, build, docker
from tests.support.wait import PAUSE_SECONDS, wait_for

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

NAMES = ("anna", "bob", "carla")
MEMORY_MB = 256
BACK_WITHIN_SECONDS = 15
AS_IN_THE_STACK = (
    *HARDENED[:-1], f"{MEMORY_MB}m", "--memory-swap", f"{MEMORY_MB}m", "--restart", "unless-stopped",
)  # fmt: skip
"""The container is started again by the engine, as the stack wants it."""


@pytest.fixture(scope="module")
def web_uis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Container]]:
    """Three people's web UIs; without a queue manager, which a web UI does not need to answer."""
    folder = tmp_path_factory.mktemp("memory")
    folder.chmod(0o755)
    (folder / "token").write_text("cme_" + "0" * 43)
    with running_engine(folder), ExitStack() as stack:
        make_base(folder, BASE)
        build("python")
        image = build("frontend")
        network = stack.enter_context(Network())
        yield {name: stack.enter_context(_web_ui(image, network, name, folder)) for name in NAMES}


def _web_ui(image: str, network: Network, name: str, folder: Path) -> Container:
    settings = {
        "FRONTEND_PARTICIPANT": name, "FRONTEND_QUEUE_URL": "http://127.0.0.1:9",
        "FRONTEND_TOKEN_FILE": "/etc/comfyume/token",
    }  # fmt: skip
    mounts = {folder / "token": "/etc/comfyume/token"}
    return Container(image, network=network, name=name, environment=settings, mounts=mounts, limits=AS_IN_THE_STACK)


def answers(address: str) -> bool:
    """Whether the web UI there gives the first answer that its page wants."""
    try:
        return httpx.get(f"http://{address}:8188/system_stats", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class Watch:
    """Asks the others for as long as it is open; notes every question that was not answered."""

    others: list[str]
    asked: int = 0
    missed: list[str] = field(default_factory=list)

    def __enter__(self) -> "Watch":
        self._over = Event()
        self._thread = Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            for other in self.others:
                self.asked += 1
                if not answers(other):
                    self.missed.append(other)


def moment(text: str) -> datetime.datetime:
    """Docker's time, whose nanoseconds Python does not read."""
    return datetime.datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00")


def test_one_that_eats_memory_ends_alone_and_is_back_while_the_others_answer(web_uis: dict[str, Container]) -> None:
    for name, container in web_uis.items():
        wait_for(lambda one=container: answers(one.address), f"{name}'s web UI to answer")  # type: ignore[misc]
    hungry, *others = web_uis.values()
    since = hungry.state["StartedAt"]
    with Watch([other.address for other in others]) as watch:
        # What lies in its temporary folder counts as the container's memory, and the kernel ends the largest process.
        docker("exec", "--detach", hungry.id, "dd", "if=/dev/zero", "of=/tmp/full", "bs=1M", f"count={4 * MEMORY_MB}")
        wait_for(lambda: hungry.state["StartedAt"] != since, "the hungry one to be started again")
        ended = moment(hungry.state["FinishedAt"])
        wait_for(lambda: answers(hungry.address), "the hungry one to be back")
        away = datetime.datetime.now(datetime.UTC) - ended
    assert exit_codes(hungry, since) == ["137"]  # killed by the kernel, once
    assert away.total_seconds() < BACK_WITHIN_SECONDS
    assert (watch.asked > 0, watch.missed) == (True, [])
    assert [other.state["OOMKilled"] for other in others] == [False, False]
    assert hungry.run("ls", "/tmp") == ""


def exit_codes(container: Container, since: str) -> list[str]:
    """How it ended, as the engine noted it, each time since then."""
    until = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    filters = ("--filter", f"container={container.id}", "--filter", "event=die")
    form = "{{.Actor.Attributes.exitCode}}"
    return docker("events", "--since", since, "--until", until, *filters, "--format", form).splitlines()
