"""Redis gone, hung, full and back: requests are refused with a sentence, running jobs end, and nothing is lost."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.workbench import GRAPH, Person, Workbench

pytestmark = pytest.mark.slow


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    """A queue manager with a Redis that the test may break."""
    with (
        RedisServer(tmp_path / "redis") as redis,
        QueueProcess(tmp_path / "queue", redis.url) as queue,
        Workbench(queue, redis) as bench,
    ):
        bench.register()
        yield bench


@pytest.fixture
def alice(workbench: Workbench) -> Iterator[Person]:
    """A participant."""
    person = Person(workbench.queue, "alice")
    yield person
    person.http.close()


def ready(workbench: Workbench) -> int:
    """The status of /readyz."""
    with workbench.queue.client() as client:
        return client.get("/readyz").status_code


def assert_away(answer: httpx.Response) -> None:
    """A request that the store could not serve: 503, a sentence, nothing of the inside."""
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"] == "unavailable"
    assert "retry-after" in answer.headers
    assert "127.0.0.1" not in answer.text
    assert "Errno" not in answer.text


def test_a_killed_redis_is_503_and_everything_goes_on_when_it_is_back(workbench: Workbench, alice: Person) -> None:
    waiting = alice.submit()
    leased = workbench.lease()
    second = alice.submit()
    workbench.redis.kill()
    wait_for(lambda: ready(workbench) == 503, "/readyz to say 503")
    with workbench.queue.client() as client:
        assert client.get("/healthz").status_code == 200
    for answer in (
        alice.http.post("/api/jobs", json={"workflow": GRAPH}),
        alice.http.get("/api/jobs"),
        alice.http.post(f"/api/jobs/{second}/cancel"),
        leased.complete(),
        workbench.worker("gpu-1").post("/api/leases", json={"worker": "gpu-1"}),
    ):
        assert_away(answer)
    workbench.redis.start()
    wait_for(lambda: ready(workbench) == 200, "/readyz to say 200 again")
    assert leased.complete().json() == {"state": "succeeded"}
    assert alice.job(waiting)["state"] == "succeeded"
    assert workbench.lease().lease["job_id"] == second


def test_a_hung_redis_is_503_and_requests_do_not_hang_for_ever(workbench: Workbench, alice: Person) -> None:
    job = alice.submit()
    os.kill(workbench.redis.pid, signal.SIGSTOP)
    try:
        assert_away(alice.http.post("/api/jobs", json={"workflow": GRAPH}))
        assert ready(workbench) == 503
    finally:
        os.kill(workbench.redis.pid, signal.SIGCONT)
    wait_for(lambda: ready(workbench) == 200, "/readyz to say 200 again")
    assert alice.job(job)["state"] == "queued"
    assert workbench.lease(job_id=job).complete().json() == {"state": "succeeded"}


def test_a_parked_worker_outlives_redis_and_gets_the_next_job(workbench: Workbench, alice: Person) -> None:
    with ThreadPoolExecutor(1) as threads:
        body = {"worker": "gpu-1", "wait_seconds": 30}
        parked = threads.submit(workbench.worker("gpu-1").post, "/api/leases", json=body)
        workbench.redis.kill()
        wait_for(lambda: ready(workbench) == 503, "/readyz to say 503")
        workbench.redis.start()
        wait_for(lambda: ready(workbench) == 200, "/readyz to say 200 again")
        job = alice.submit()
        answer = parked.result(90)
    if answer.status_code == 200:
        assert job.encode() in answer.content
    else:  # the claim was under way when Redis went, or its time was over: the worker asks again
        assert answer.status_code in (204, 503)
        assert workbench.lease().lease["job_id"] == job


def test_a_manager_that_starts_before_redis_gets_ready_when_it_comes(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    queue = QueueProcess(tmp_path / "queue", redis.url)
    try:
        queue.start(wait_ready=False)
        with queue.client("alice") as client:
            assert client.get("/readyz").status_code == 503
            assert_away(client.get("/api/jobs"))
            redis.start()
            wait_for(lambda: client.get("/readyz").status_code == 200, "/readyz to say 200")
            assert client.get("/api/jobs").status_code == 200
    finally:
        queue.kill()
        redis.kill()


def fill(workbench: Workbench) -> None:
    """Leave Redis no room: the limit is set to what it uses now."""
    with workbench.redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1 << 20)


def test_a_full_redis_refuses_submits_with_507_while_running_jobs_end(workbench: Workbench, alice: Person) -> None:
    jobs = [alice.submit() for _ in range(4)]
    leases = [workbench.lease() for _ in range(3)]
    fill(workbench)
    refused = alice.http.post("/api/jobs", json={"workflow": GRAPH})
    assert (refused.status_code, refused.json()["error"]) == (507, "storage_full")
    batch = alice.http.post("/api/jobs/batch", json={"jobs": [{"workflow": GRAPH}]})
    assert batch.status_code == 507
    beat = leases[0].http.post(f"{leases[0].path}/heartbeat", headers=leases[0].headers)
    assert beat.status_code == 200
    assert leases[0].upload("a.png", b"picture").status_code == 201
    assert leases[0].complete({"2": {"images": [{"filename": "a.png"}]}}).json() == {"state": "succeeded"}
    error = {"type": "x", "message": "y"}
    assert leases[1].report("fail", {"error": error, "retryable": False}).json() == {"state": "failed"}
    assert alice.http.post(f"/api/jobs/{leases[2].lease['job_id']}/cancel").status_code == 200
    assert leases[2].report("cancelled", {}).json() == {"state": "cancelled"}
    assert workbench.lease().lease["job_id"] == jobs[3]
    assert alice.http.get(f"/api/jobs/{jobs[0]}/outputs/output/a.png").content == b"picture"
    assert ready(workbench) == 200
    workbench.queue.kill()
    workbench.queue.start()  # a manager that starts now still lets everybody in
    assert alice.job(jobs[3])["state"] == "running"
    with workbench.redis.client() as client:
        client.config_set("maxmemory", 0)
    alice.submit()
