"""Parked requests: a worker gets its job when it comes, a heartbeat hears of a stop, and nobody is left behind."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.support.queue_process import QueueProcess, bearer
from tests.support.wait import wait_for
from tests.support.workbench import Person, Workbench

pytestmark = pytest.mark.slow

PROMPT = 25.0
"""Seconds: far below what the parked requests ask for, far above what they take on a slow machine."""


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads in which requests can be parked."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def parked_workers(queue: QueueProcess) -> int:
    """How many workers wait for a job, by the queue manager's own metrics."""
    with queue.client("otto") as client:
        lines = client.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith("comfyume_workers_parked ")).split()[1]))


def park(threads: ThreadPoolExecutor, worker: httpx.Client, name: str = "gpu-1") -> "Future[httpx.Response]":
    """Ask for a job in the background, for 30 s."""
    return threads.submit(worker.post, "/api/leases", json={"worker": name, "wait_seconds": 30})


def test_a_parked_worker_gets_a_job_as_soon_as_it_is_submitted(
    workbench: Workbench, queue: QueueProcess, alice: Person, threads: ThreadPoolExecutor
) -> None:
    answer = park(threads, workbench.worker("gpu-1"))
    wait_for(lambda: parked_workers(queue) == 1, "the worker to be parked")
    started = time.monotonic()
    job = alice.submit()
    assert answer.result(60).status_code == 200
    assert time.monotonic() - started < PROMPT
    assert alice.job(job)["worker"] == "gpu-1"
    alice.http.post("/api/jobs/cancel", json={"states": ["running"]})


def test_without_a_job_the_answer_is_204_when_the_time_is_over(workbench: Workbench, queue: QueueProcess) -> None:
    started = time.monotonic()
    answer = workbench.worker("gpu-1").post("/api/leases", json={"worker": "gpu-1", "wait_seconds": 1})
    assert answer.status_code == 204
    assert answer.content == b""
    assert time.monotonic() - started >= 0.9


def test_parked_workers_are_served_in_the_order_in_which_they_came(
    workbench: Workbench, queue: QueueProcess, alice: Person, threads: ThreadPoolExecutor
) -> None:
    answers = []
    for number, name in enumerate(("gpu-1", "gpu-2", "gpu-3"), 1):
        workbench.register(name)
        answers.append(park(threads, workbench.worker(name), name))
        wait_for(lambda number=number: parked_workers(queue) == number, f"{name} to be parked")  # type: ignore[misc]
    for answer in answers:
        job = alice.submit()
        assert job.encode() in answer.result(60).content
    alice.http.post("/api/jobs/cancel", json={"states": ["running"]})


def test_a_job_is_not_lost_to_a_worker_that_hung_up(workbench: Workbench, queue: QueueProcess, alice: Person) -> None:
    body = b'{"worker":"gpu-1","wait_seconds":30}'
    head = f"POST /api/leases HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer('gpu-1')['Authorization']}\r\n"
    with socket.create_connection(("127.0.0.1", queue.port)) as line:
        line.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        wait_for(lambda: parked_workers(queue) == 1, "the worker to be parked")
    wait_for(lambda: parked_workers(queue) == 0, "the worker's place to be cleared")
    job = alice.submit()
    assert workbench.lease().lease["job_id"] == job
    alice.http.post(f"/api/jobs/{job}/cancel")


def test_waking_follows_resume_requeue_and_return(
    workbench: Workbench, queue: QueueProcess, alice: Person, ines: httpx.Client, threads: ThreadPoolExecutor
) -> None:
    assert ines.put("/api/queue/paused", json={"paused": True}).is_success
    job = alice.submit()
    answer = park(threads, workbench.worker("gpu-1"))
    wait_for(lambda: parked_workers(queue) == 1, "the worker to be parked")
    assert ines.put("/api/queue/paused", json={"paused": False}).is_success
    assert job.encode() in answer.result(60).content
    alice.http.post(f"/api/jobs/{job}/cancel")


def test_a_cancel_reaches_a_parked_heartbeat_at_once(
    workbench: Workbench, alice: Person, threads: ThreadPoolExecutor
) -> None:
    job = alice.submit()
    leased = workbench.lease(job_id=job)
    beat = threads.submit(leased.http.post, f"{leased.path}/heartbeat", params={"wait": 10}, headers=leased.headers)
    assert alice.http.post(f"/api/jobs/{job}/cancel").json()["state"] == "running"
    assert beat.result(60).json()["stop"] == "cancelled"
    assert leased.report("cancelled", {}).json() == {"state": "cancelled"}
    assert alice.job(job)["state"] == "cancelled"


def test_a_preemption_reaches_a_parked_heartbeat_and_the_job_waits_again(
    workbench: Workbench, alice: Person, ines: httpx.Client, threads: ThreadPoolExecutor
) -> None:
    job = alice.submit()
    leased = workbench.lease(job_id=job)
    beat = threads.submit(leased.http.post, f"{leased.path}/heartbeat", params={"wait": 10}, headers=leased.headers)
    assert ines.post(f"/api/jobs/{job}/preempt").is_success
    assert beat.result(60).json()["stop"] == "preempted"
    assert leased.report("cancelled", {}).json() == {"state": "queued"}
    assert alice.job(job)["attempt"] == 0


def test_a_heartbeat_moves_the_expiry_and_says_nothing_else(workbench: Workbench, alice: Person) -> None:
    leased = workbench.lease(job_id=alice.submit())
    beat = leased.http.post(f"{leased.path}/heartbeat", headers=leased.headers).json()
    assert beat["stop"] is None
    assert beat["expires_at"] >= leased.lease["expires_at"]
    leased.complete()


def test_a_repeated_report_gets_the_recorded_state_and_an_old_token_is_refused(
    workbench: Workbench, alice: Person
) -> None:
    leased = workbench.lease(job_id=alice.submit())
    assert leased.complete().json() == {"state": "succeeded"}
    assert leased.complete().json() == {"state": "succeeded"}
    assert leased.report("fail", {"error": {"type": "x", "message": "y"}, "retryable": False}).json() == {
        "state": "succeeded"
    }
    beat = leased.http.post(f"{leased.path}/heartbeat", headers=leased.headers)
    assert (beat.status_code, beat.json()["error"]) == (409, "lease_lost")


def test_failures_are_recorded_with_their_words_or_tried_again(workbench: Workbench, alice: Person) -> None:
    job = alice.submit()
    error = {"type": "ValueError", "message": "too dark", "node_id": "2", "node_type": "SaveImage"}
    again = workbench.lease(job_id=job).report("fail", {"error": error, "retryable": True})
    assert again.json() == {"state": "queued"}
    assert workbench.lease(job_id=job).report("fail", {"error": error, "retryable": False}).json() == {
        "state": "failed"
    }
    assert alice.job(job)["error"] == error


def test_a_worker_that_is_not_registered_is_told_to(queue: QueueProcess, otto: httpx.Client) -> None:
    token = otto.put("/api/credentials/worker/gpu-new").json()["token"]
    with queue.client() as client:
        answer = client.post("/api/leases", json={"worker": "gpu-new"}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 409
    assert "PUT /api/workers/gpu-new" in answer.json()["detail"]
    assert otto.delete("/api/credentials/worker/gpu-new").status_code == 204


def test_parked_requests_are_let_go_when_the_manager_ends(
    workbench: Workbench, queue: QueueProcess, threads: ThreadPoolExecutor
) -> None:
    answer = park(threads, workbench.worker("gpu-1"))
    wait_for(lambda: parked_workers(queue) == 1, "the worker to be parked")
    assert queue.stop() == 0
    assert answer.result(60).status_code == 204
    queue.start()
