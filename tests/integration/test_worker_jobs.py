"""Jobs through a real queue manager, a real worker and the rehearsal engine: how they end, whatever goes wrong."""

import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from services.worker.rehearsal import fault_names
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.worker_jobs import ended, endless, events_of, fault, picture, slow, submit, until_running, view
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueProcess]:
    folder = tmp_path_factory.mktemp("worker-jobs")
    with RedisServer(folder / "redis") as redis, QueueProcess(folder / "queue", redis.url) as process:
        yield process


@pytest.fixture(scope="module")
def worker(queue: QueueProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    settings = {"HANG_SECONDS": 8, "INTERRUPT_SECONDS": 1}
    with WorkerProcess(tmp_path_factory.mktemp("worker"), queue.url, settings=settings) as process:
        yield process


@pytest.fixture
def alice(queue: QueueProcess, worker: WorkerProcess) -> Iterator[httpx.Client]:
    with queue.client("alice") as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_left_over(alice: httpx.Client, bob: httpx.Client) -> Iterator[None]:
    """A test that fails leaves no job behind that would make the next ones wait."""
    yield
    for client in (alice, bob):
        client.post("/api/jobs/cancel", json={"states": ["queued", "running"]})


@pytest.fixture
def bob(queue: QueueProcess, worker: WorkerProcess) -> Iterator[httpx.Client]:
    with queue.client("bob") as client:
        yield client


def test_identical_graphs_deliver_to_each_asker_files_of_their_own(alice: httpx.Client, bob: httpx.Client) -> None:
    jobs = [(client, submit(client, picture())) for client in (alice, bob, alice)]
    previews: set[str] = set()
    for client, job in jobs:
        done = ended(client, job)
        assert done["state"] == "succeeded", done
        assert [(f["node_id"], f["type"], f["subfolder"], f["filename"]) for f in done["outputs"][:2]] == [
            ("2", "output", "folder", f"picture_0000{number}_.png") for number in (1, 2)
        ]
        assert done["executed"]["2"]["images"][0]["subfolder"] == "folder"
        previews |= {f["filename"] for f in done["outputs"] if f["type"] == "temp"}
        for file in client.get(f"/api/jobs/{job}/outputs").json()["outputs"]:
            content = client.get(file["url"]).content
            assert Image.open(io.BytesIO(content)).size == (16, 8)
            assert not any(other.encode() in content for _, other in jobs if other != job)
    assert len(previews) == 6


def test_the_owner_sees_comfyuis_messages_in_their_order_and_under_his_own_file_names(alice: httpx.Client) -> None:
    job = submit(alice, {**picture(), **slow(0.2, steps=3)})
    ended(alice, job)
    events = events_of(alice, job)
    kinds = [event["data"]["message"] if event["type"] == "job.progress" else event["type"] for event in events]
    turning_points = ("job.queued", "job.running", "execution_start", "execution_success", "job.succeeded")
    assert [kind for kind in kinds if kind in turning_points] == list(turning_points)
    assert kinds[-2] == "executing"
    progress = [event["data"] for event in events if event["type"] == "job.progress"]
    assert {"progress_state", "executed"} <= {data["message"] for data in progress}
    saved = [data["data"] for data in progress if data["message"] == "executed" and data["data"]["node"] == "2"]
    assert saved[0]["output"]["images"][0]["subfolder"] == "folder"


def test_an_input_reaches_the_engine_and_nothing_of_the_job_stays_there(
    worker: WorkerProcess, alice: httpx.Client
) -> None:
    stored = io.BytesIO()
    Image.new("RGB", (4, 4), (10, 20, 30)).save(stored, "PNG")
    assert alice.put("/api/inputs/album/photo.png", content=stored.getvalue()).status_code == 201
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "album/photo.png"}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    for _ in range(2):  # the second time from the cache
        job = submit(alice, graph)
        done = ended(alice, job)
        assert done["state"] == "succeeded", done
        (file,) = alice.get(f"/api/jobs/{job}/outputs").json()["outputs"]
        result = Image.open(io.BytesIO(alice.get(file["url"]).content)).convert("RGB")
        assert result.getpixel((0, 0)) == (245, 235, 225)
    ended(alice, submit(alice, picture()))  # the job before has been tidied away when the next one has ended
    engine = worker.folder / "data" / "rehearsal"
    left = [path for kind in ("input", "output", "temp") for path in (engine / kind).rglob("*.png")]
    assert not any("x_0000" in path.name or path.name == "photo.png" for path in left)


def test_an_error_in_a_node_fails_the_job_with_its_message_and_without_paths(alice: httpx.Client) -> None:
    done = ended(alice, submit(alice, fault(fault_names.ERROR, message="no such thing: /srv/models/x.ckpt")))
    assert (done["state"], done["attempt"]) == ("failed", 1)
    assert done["error"]["message"] == "no such thing: x.ckpt"
    assert done["error"]["node_type"] == fault_names.ERROR
    assert ended(alice, submit(alice, picture()))["state"] == "succeeded"


def test_a_cancel_stops_the_running_job_and_touches_no_other(alice: httpx.Client, bob: httpx.Client) -> None:
    mine = submit(alice, endless())
    until_running(alice, mine)
    foreign = submit(bob, picture())
    assert alice.post(f"/api/jobs/{mine}/cancel").status_code == 200
    assert ended(alice, mine)["state"] == "cancelled"
    assert ended(bob, foreign)["state"] == "succeeded"


def test_a_preempted_job_runs_again_without_a_counted_attempt(
    queue: QueueProcess, alice: httpx.Client, bob: httpx.Client
) -> None:
    mine = submit(alice, endless())
    until_running(alice, mine)
    other = submit(bob, picture())
    with queue.client("ines") as ines:
        assert ines.post(f"/api/jobs/{mine}/preempt").status_code < 300
    assert ended(bob, other)["state"] == "succeeded"
    until_running(alice, mine)
    assert view(alice, mine)["attempt"] == 1
    alice.post(f"/api/jobs/{mine}/cancel")
    assert ended(alice, mine)["state"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "error"),
    [(fault_names.HANG, "hung"), (fault_names.CRASH, "crashed"), (fault_names.LIE, "output_missing")],
)
def test_a_job_that_the_engine_never_survives_is_dead_after_three_attempts_and_the_next_one_runs(
    alice: httpx.Client, name: str, error: str
) -> None:
    bad = ended(alice, submit(alice, fault(name)))
    assert (bad["state"], bad["attempt"], bad["error"]["type"]) == ("dead", 3, error)
    assert bad["outputs"] == []
    assert ended(alice, submit(alice, picture()))["state"] == "succeeded"


def test_a_job_outlives_a_queue_manager_that_is_killed_meanwhile(
    queue: QueueProcess, worker: WorkerProcess, alice: httpx.Client
) -> None:
    mine = submit(alice, {**slow(3), **picture()})
    wait_for(lambda: mine in worker.words(), "the worker to have the job")
    queue.kill()
    queue.start()
    done = ended(alice, mine)
    assert (done["state"], len(done["outputs"])) == ("succeeded", 4), done
