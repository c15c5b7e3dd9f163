"""Submitting over HTTP: what comes back, what is kept, repeats, batches, caps."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.queue_process import QueueProcess
from tests.support.workbench import GRAPH, Person, Workbench

pytestmark = pytest.mark.slow


def waiting(person: Person) -> list[dict[str, Any]]:
    """A participant's waiting jobs, newest first."""
    found: list[dict[str, Any]] = person.http.get("/api/jobs", params={"state": "queued"}).json()["jobs"]
    return found


def test_workflow_and_extra_data_travel_byte_for_byte_to_the_worker(workbench: Workbench, alice: Person) -> None:
    workflow = (
        b'{ "2":{"class_type":"SaveImage","inputs":{"images":["1",0], "filename_prefix":"\\u00e9 \xc3\xa9 1.0e0"}},'
        + (b'\n\t"1": {"inputs":{"width":64.0},"class_type":"EmptyImage","_meta":{"title":"x\\/y"}}}')
    )
    extra = b'{"extra_pnginfo": {"workflow":{"version":0.4, "nodes":[ ]}},  "n":1E5}'
    body = b'{ "label":"raw", "workflow" : ' + workflow + b', "extra_data":' + extra + b" }"
    job = alice.http.post("/api/jobs", content=body).json()["id"]
    expected = b'{"workflow":' + workflow + b',"extra_data":' + extra + b"}"
    assert alice.http.get(f"/api/jobs/{job}/workflow").content == expected
    answer = workbench.worker("gpu-1").post("/api/leases", json={"worker": "gpu-1", "wait_seconds": 30})
    size = int.from_bytes(answer.content[:4], "big")
    assert answer.content[4 + size :] == expected
    assert json.loads(answer.content[4 : 4 + size])["job_id"] == job


def test_a_submit_without_extra_data_delivers_an_empty_object(alice: Person) -> None:
    assert alice.http.get(f"/api/jobs/{alice.submit()}/workflow").json() == {"workflow": GRAPH, "extra_data": {}}


def test_the_same_idempotency_key_takes_nothing_in_twice(alice: Person, bob: Person) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first = alice.http.post("/api/jobs", json={"workflow": GRAPH}, headers=key)
    again = alice.http.post("/api/jobs", json={"workflow": GRAPH}, headers=key)
    his = bob.http.post("/api/jobs", json={"workflow": GRAPH}, headers=key)
    assert (first.status_code, again.status_code, his.status_code) == (202, 200, 202)
    assert first.json()["duplicate"] is False
    assert again.json() == {**first.json(), "duplicate": True}
    assert his.json()["id"] != first.json()["id"]
    assert len(waiting(alice)) == 1


def test_many_requests_at_once_with_one_key_make_one_job(queue: QueueProcess, alice: Person) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    with queue.client("alice") as client, ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(lambda _: client.post("/api/jobs", json={"workflow": GRAPH}, headers=key), range(32))
        )
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 31 + [202]
    assert len(waiting(alice)) == 1


def test_the_same_id_by_the_same_owner_is_a_repeat_and_by_another_a_conflict(alice: Person, bob: Person) -> None:
    job = str(uuid4())
    assert alice.http.post("/api/jobs", json={"workflow": GRAPH, "id": job}).status_code == 202
    again = alice.http.post("/api/jobs", json={"workflow": GRAPH, "id": job})
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    foreign = bob.http.post("/api/jobs", json={"workflow": GRAPH, "id": job})
    assert foreign.status_code == 409
    assert "alice" not in foreign.text


def test_a_batch_is_taken_in_whole_and_in_order(alice: Person) -> None:
    jobs = [{"workflow": GRAPH, "label": f"job {number}"} for number in range(5)]
    answer = alice.http.post("/api/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 202
    taken = answer.json()["jobs"]
    assert [job["number"] for job in taken] == list(range(taken[0]["number"], taken[0]["number"] + 5))
    assert [job["label"] for job in reversed(waiting(alice))] == [job["label"] for job in jobs]


def test_a_batch_beyond_the_waiting_cap_is_refused_whole(alice: Person) -> None:
    for _ in range(10):
        alice.submit()
    answer = alice.http.post("/api/jobs/batch", json={"jobs": [{"workflow": GRAPH}] * 23})
    assert answer.status_code == 429
    assert "32" in answer.json()["detail"]
    assert len(waiting(alice)) == 10
    assert alice.http.post("/api/jobs/batch", json={"jobs": [{"workflow": GRAPH}] * 22}).status_code == 202


def test_a_repeated_batch_takes_nothing_in_twice(alice: Person) -> None:
    batch, key = {"jobs": [{"workflow": GRAPH}, {"workflow": GRAPH}]}, {"Idempotency-Key": uuid4().hex}
    first = alice.http.post("/api/jobs/batch", json=batch, headers=key).json()["jobs"]
    again = alice.http.post("/api/jobs/batch", json=batch, headers=key).json()["jobs"]
    assert [job["id"] for job in again] == [job["id"] for job in first]
    assert [job["duplicate"] for job in again] == [True, True]


def test_a_batch_with_one_id_twice_is_refused(alice: Person) -> None:
    job = {"workflow": GRAPH, "id": str(uuid4())}
    assert alice.http.post("/api/jobs/batch", json={"jobs": [job, job]}).status_code == 422
    assert waiting(alice) == []


def test_the_refusal_at_the_waiting_cap_says_which_cap_and_caps_can_be_set(alice: Person, ines: httpx.Client) -> None:
    assert ines.put("/api/participants/alice/caps", json={"waiting": 1}).is_success
    try:
        alice.submit()
        refused = alice.http.post("/api/jobs", json={"workflow": GRAPH})
        assert refused.status_code == 429
        assert refused.json()["error"] == "limit_reached"
        assert alice.http.get("/api/queue").json()["caps"]["waiting"] == 1
    finally:
        assert ines.put("/api/participants/alice/caps", json={"waiting": 32}).is_success
    alice.submit()


def test_caps_of_somebody_unknown_are_404(ines: httpx.Client) -> None:
    assert ines.put("/api/participants/nobody/caps", json={"waiting": 1}).status_code == 404


def test_the_instructor_submits_for_himself_with_his_own_class(ines: httpx.Client, alice: Person) -> None:
    job = ines.post("/api/jobs", json={"workflow": GRAPH}).json()["id"]
    low = ines.post("/api/jobs", json={"workflow": GRAPH, "priority": "low"}).json()["id"]
    assert ines.get(f"/api/jobs/{job}").json()["participant"] == "ines"
    assert ines.get(f"/api/jobs/{job}").json()["priority"] == "instructor"
    assert ines.get(f"/api/jobs/{low}").json()["priority"] == "low"
    assert alice.http.get(f"/api/jobs/{job}").status_code == 404


def test_a_page_of_jobs_leads_to_the_next(alice: Person) -> None:
    ids = [alice.submit() for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = alice.http.get("/api/jobs", params={"state": "queued", "limit": 3, "before": cursor}).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
    assert seen == ids[::-1]


def test_a_waiting_job_says_where_it_stands_and_why(alice: Person, ines: httpx.Client) -> None:
    first, second = alice.submit(), alice.submit()
    assert [alice.job(job)["position"] for job in (first, second)] == [0, 1]
    assert ines.put("/api/queue/paused", json={"paused": True}).is_success
    try:
        assert alice.job(first)["waiting_because"]["code"] == "paused"
    finally:
        assert ines.put("/api/queue/paused", json={"paused": False}).is_success
    assert alice.job(first)["waiting_because"]["code"] == "next"
    assert alice.job(second)["waiting_because"]["code"] in ("waiting_turn", "cap_running")


def test_a_job_can_be_cancelled_queued_again_and_deleted(workbench: Workbench, alice: Person) -> None:
    job = alice.submit()
    assert alice.http.delete(f"/api/jobs/{job}").status_code == 409
    assert alice.http.post(f"/api/jobs/{job}/requeue").status_code == 409
    assert alice.http.post(f"/api/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert alice.http.post(f"/api/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert alice.http.post(f"/api/jobs/{job}/requeue").json()["state"] == "queued"
    assert workbench.lease(job_id=job).complete().json() == {"state": "succeeded"}
    assert alice.http.post(f"/api/jobs/{job}/requeue").status_code == 409
    assert alice.http.delete(f"/api/jobs/{job}").status_code == 204
    assert alice.http.get(f"/api/jobs/{job}").status_code == 404


def test_cancelling_all_touches_nobody_else(alice: Person, bob: Person) -> None:
    mine, his = {alice.submit() for _ in range(3)}, bob.submit()
    assert set(alice.http.post("/api/jobs/cancel", json={}).json()["cancelled"]) == mine
    assert bob.job(his)["state"] == "queued"
