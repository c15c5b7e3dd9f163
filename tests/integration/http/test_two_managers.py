"""Two queue managers on one Redis: whoever is parked at one of them hears what happens at the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.queue_process import QueueProcess
from tests.support.wait import wait_for
from tests.support.workbench import OBJECT_INFO, Person, Workbench, unwrap

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def second(workbench: Workbench) -> Iterator[QueueProcess]:
    """Another manager with the same Redis and the same files."""
    process = QueueProcess(workbench.queue.folder, workbench.redis.url)
    with process:
        yield process


def parked(manager: QueueProcess) -> bool:
    """Whether a worker waits at this manager."""
    with manager.client("otto") as client:
        return "comfyume_workers_parked 1.0" in client.get("/metrics").text


def test_a_worker_parked_at_one_manager_gets_the_job_submitted_at_the_other(
    workbench: Workbench, second: QueueProcess, alice: Person
) -> None:
    with second.client("gpu-1") as worker, ThreadPoolExecutor(1) as threads:
        for _ in range(3):
            answer = threads.submit(worker.post, "/api/leases", json={"worker": "gpu-1", "wait_seconds": 30})
            wait_for(lambda: parked(second), "the worker to be parked")
            job = alice.submit()
            lease, _workflow = unwrap(answer.result(60))
            assert lease["job_id"] == job
            headers = {"X-Lease-Token": lease["token"]}
            assert worker.post(f"/api/leases/{job}/complete", json={}, headers=headers).json() == {"state": "succeeded"}


def test_nodes_published_at_one_manager_are_known_at_the_other(
    workbench: Workbench, second: QueueProcess, alice: Person
) -> None:
    graph = {"1": {"class_type": "Brandnew", "inputs": {}}}
    assert alice.http.post("/api/jobs", json={"workflow": graph}).status_code == 400
    node = {"input": {"required": {}}, "output": [], "output_node": True}
    with Workbench(second, workbench.redis) as bench:
        bench.register("gpu-2", {**OBJECT_INFO, "Brandnew": node})
    with second.client("gpu-2") as worker, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(worker.post, "/api/leases", json={"worker": "gpu-2", "wait_seconds": 30})
        wait_for(lambda: parked(second), "the worker to be parked")
        job = alice.submit(graph)  # into a pool that the second manager has never heard of
        assert unwrap(answer.result(60))[0]["job_id"] == job
    alice.http.post(f"/api/jobs/{job}/cancel")


def test_a_cancel_at_one_manager_reaches_the_heartbeat_parked_at_the_other(
    workbench: Workbench, second: QueueProcess, alice: Person
) -> None:
    job = alice.submit()
    leased = workbench.lease(job_id=job)
    with second.client("gpu-1") as worker, second.client("alice") as client, ThreadPoolExecutor(1) as threads:
        beat = threads.submit(worker.post, f"{leased.path}/heartbeat", params={"wait": 10}, headers=leased.headers)
        assert client.post(f"/api/jobs/{job}/cancel").json()["state"] == "running"
        assert beat.result(60).json()["stop"] == "cancelled"
    assert leased.report("cancelled", {}).json() == {"state": "cancelled"}
