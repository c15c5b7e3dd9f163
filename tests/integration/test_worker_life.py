"""A worker's own life with a real queue manager: drained, killed, frozen, and driving somebody else's ComfyUI."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from PIL import Image

from services.worker.rehearsal import fault_names
from tests.support.ports import free_port
from tests.support.queue_process import ROOT, QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.worker_jobs import ended, endless, fault, picture, slow, submit, until_running, view
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MakeWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueProcess]:
    folder = tmp_path_factory.mktemp("worker-life")
    with (
        RedisServer(folder / "redis") as redis,
        QueueProcess(folder / "queue", redis.url, settings={"LEASE_SECONDS": 3}) as process,
    ):
        yield process


@pytest.fixture
def start(queue: QueueProcess, tmp_path: Path) -> Iterator[MakeWorker]:
    """Starts workers that end with the test."""
    with ExitStack() as stack:

        def start(name: str = "gpu-1", settings: Mapping[str, str | int | float] | None = None) -> WorkerProcess:
            worker = WorkerProcess(tmp_path / name, queue.url, name, settings=settings)
            return stack.enter_context(worker)

        yield start


@pytest.fixture
def alice(queue: QueueProcess) -> Iterator[httpx.Client]:
    with queue.client("alice") as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_left_over(alice: httpx.Client, bob: httpx.Client) -> Iterator[None]:
    """A test that fails leaves no job behind that would make the next ones wait."""
    yield
    for client in (alice, bob):
        client.post("/api/jobs/cancel", json={"states": ["queued", "running"]})


@pytest.fixture
def bob(queue: QueueProcess) -> Iterator[httpx.Client]:
    with queue.client("bob") as client:
        yield client


def until_working(worker: WorkerProcess, job: str) -> None:
    """The queue manager says "running" a little earlier, when its answer is still on the way to the worker."""

    def has_it() -> bool:
        return any(job in line and '"event": "job leased"' in line for line in worker.words().splitlines())

    wait_for(has_it, f"{worker.name} to have the job")


def until_draining(worker: WorkerProcess) -> None:
    wait_for(lambda: '"event": "draining"' in worker.words(), "the worker to drain")


def test_a_draining_worker_finishes_its_job_and_takes_no_other(
    start: MakeWorker, alice: httpx.Client, bob: httpx.Client
) -> None:
    worker = start()
    mine = submit(alice, slow(3))
    until_working(worker, mine)
    worker.signal(signal.SIGTERM)
    until_draining(worker)
    waiting = submit(bob, picture())
    assert worker.wait() == 0
    assert ended(alice, mine)["state"] == "succeeded"
    assert view(bob, waiting)["state"] == "queued"
    bob.post(f"/api/jobs/{waiting}/cancel")


def test_a_second_sigterm_gives_the_job_back_at_once(start: MakeWorker, alice: httpx.Client) -> None:
    worker = start()
    mine = submit(alice, endless())
    until_working(worker, mine)
    worker.signal(signal.SIGTERM)
    until_draining(worker)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    given_back = view(alice, mine)
    assert (given_back["state"], given_back["attempt"]) == ("queued", 0)


def test_a_worker_ends_even_when_the_queue_manager_is_away(
    start: MakeWorker, queue: QueueProcess, alice: httpx.Client
) -> None:
    worker = start(settings={"INTERRUPT_SECONDS": 1, "DRAIN_SECONDS": 0})
    mine = submit(alice, endless())
    until_running(alice, mine)
    queue.kill()
    assert worker.stop() == 0
    queue.start()
    wait_for(lambda: view(alice, mine)["state"] == "queued", "the lease to end")


def test_the_job_of_a_killed_worker_runs_again(start: MakeWorker, alice: httpx.Client) -> None:
    worker = start()
    mine = submit(alice, endless())
    until_running(alice, mine)
    worker.kill()
    worker.start()
    wait_for(lambda: (seen := view(alice, mine))["state"] == "running" and seen["attempt"] == 2, "the second attempt")
    alice.post(f"/api/jobs/{mine}/cancel")
    assert ended(alice, mine)["state"] == "cancelled"


def test_a_worker_that_lost_its_lease_drops_the_job_and_goes_on(
    start: MakeWorker, alice: httpx.Client, bob: httpx.Client
) -> None:
    first = start("gpu-1")
    mine = submit(alice, {**slow(10), **picture()})
    until_running(alice, mine)
    first.signal(signal.SIGSTOP)
    second = start("gpu-2")
    done = ended(alice, mine)
    assert (done["state"], done["worker"], len(done["outputs"])) == ("succeeded", "gpu-2", 4)
    second.kill()
    first.signal(signal.SIGCONT)
    wait_for(lambda: '"how": "lost"' in first.words(), "the first worker to notice")
    assert view(alice, mine) == done
    assert ended(bob, submit(bob, picture()))["worker"] == "gpu-1"


MAIN_PY = """
import os, runpy, sys
options = dict(zip(sys.argv[1:], sys.argv[2:]))
assert "--cpu" in sys.argv, sys.argv
folder = os.path.dirname(options["--input-directory"])
assert options["--output-directory"] == folder + "/output" and options["--temp-directory"] == folder
os.environ |= {"REHEARSAL_PORT": options["--port"], "REHEARSAL_DATA_DIR": folder}
sys.argv[1:] = []
runpy.run_module("services.worker.rehearsal", run_name="__main__")
"""
"""A ComfyUI installation in the smallest: it takes ComfyUI's own arguments and hands over to the rehearsal engine."""


def test_a_comfyui_in_a_folder_is_started_with_folders_of_its_own_and_again_after_a_crash(
    start: MakeWorker, tmp_path: Path, alice: httpx.Client
) -> None:
    (tmp_path / "comfyui").mkdir()
    (tmp_path / "comfyui" / "main.py").write_text(MAIN_PY)
    worker = start(settings={"BACKEND": "local", "COMFYUI_DIR": str(tmp_path / "comfyui"), "COMFYUI_ARGS": "--cpu"})
    done = ended(alice, submit(alice, picture()))
    assert (done["state"], len(done["outputs"])) == ("succeeded", 4), done
    assert ended(alice, submit(alice, fault(fault_names.CRASH)))["state"] == "dead"
    assert ended(alice, submit(alice, picture()))["state"] == "succeeded"
    assert worker.is_ready()


@pytest.fixture
def comfyui(tmp_path: Path) -> Iterator[str]:
    """The address of an engine that nobody but the test started, as a remote ComfyUI is."""
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "REHEARSAL_PORT": str(port),
        "REHEARSAL_DATA_DIR": str(tmp_path / "comfyui"),
    }
    engine = subprocess.Popen([sys.executable, "-m", "services.worker.rehearsal"], cwd=ROOT, env=environment)
    yield f"http://127.0.0.1:{port}"
    engine.terminate()
    engine.wait(90)


def test_a_comfyui_at_an_address_gets_inputs_by_upload_and_is_waited_for(
    start: MakeWorker, comfyui: str, alice: httpx.Client
) -> None:
    start(settings={"BACKEND": "url", "COMFYUI_URL": comfyui})
    stored = io.BytesIO()
    Image.new("RGB", (4, 4), (1, 2, 3)).save(stored, "PNG")
    assert alice.put("/api/inputs/photo.png", content=stored.getvalue()).status_code == 201
    job = submit(
        alice,
        {
            "1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a/b"}},
        },
    )
    done = ended(alice, job)
    assert (done["state"], done["executed"]["2"]["images"][0]["subfolder"]) == ("succeeded", "a"), done
    (file,) = alice.get(f"/api/jobs/{job}/outputs").json()["outputs"]
    assert Image.open(io.BytesIO(alice.get(file["url"]).content)).convert("RGB").getpixel((0, 0)) == (1, 2, 3)
