"""Credentials over HTTP: a rotated or removed one stops working at once, in every process, and nobody else notices."""

import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.support.queue_process import QueueProcess, token_of
from tests.support.wait import wait_for
from tests.support.workbench import GRAPH, Workbench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(workbench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueProcess]:
    """A second queue manager on the same Redis, without people of its own."""
    with QueueProcess(tmp_path_factory.mktemp("other"), workbench.redis.url, people=()) as second:
        yield second


def status(manager: QueueProcess, token: str) -> int:
    """What a manager answers to a token on an ordinary route."""
    with manager.client() as client:
        return client.get("/api/jobs", headers={"Authorization": f"Bearer {token}"}).status_code


def submit_status(manager: QueueProcess, token: str) -> int:
    """What a manager answers to a token on a hot route."""
    with manager.client() as client:
        headers = {"Authorization": f"Bearer {token}"}
        return client.post("/api/jobs", json={"workflow": GRAPH}, headers=headers).status_code


def test_a_rotated_token_stops_working_at_once_in_both_processes(
    queue: QueueProcess, other: QueueProcess, otto: httpx.Client
) -> None:
    token = otto.put("/api/credentials/participant/rita").json()["token"]
    for changer, _ in ((queue, other), (other, queue), (queue, other), (other, queue)):
        assert [status(queue, token), status(other, token)] == [200, 200]
        with changer.client("otto") as operator:
            fresh = operator.put("/api/credentials/participant/rita")
        assert fresh.status_code == 201
        assert [status(queue, token), status(other, token)] == [401, 401]
        assert [submit_status(queue, token), submit_status(other, token)] == [401, 401]
        token = fresh.json()["token"]
    assert [status(queue, token), status(other, token)] == [200, 200]
    assert [status(manager, token_of("alice")) for manager in (queue, other)] == [200, 200]


def test_a_removed_participant_is_out_at_once_and_his_jobs_are_cancelled(
    workbench: Workbench, queue: QueueProcess, other: QueueProcess, otto: httpx.Client, ines: httpx.Client
) -> None:
    token = otto.put("/api/credentials/participant/sven").json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    with queue.client() as client:
        running, waiting = (
            client.post("/api/jobs", json={"workflow": GRAPH}, headers=headers).json()["id"] for _ in range(2)
        )
    leased = workbench.lease(job_id=running)
    with other.client("otto") as operator:
        assert operator.delete("/api/credentials/participant/sven").status_code == 204
        assert operator.delete("/api/credentials/participant/sven").status_code == 404
    assert [status(queue, token), status(other, token)] == [401, 401]
    assert ines.get(f"/api/jobs/{waiting}").json()["state"] == "cancelled"
    beat = leased.http.post(f"{leased.path}/heartbeat", params={"wait": 10}, headers=leased.headers)
    assert beat.json()["stop"] == "cancelled"
    assert leased.report("cancelled", {}).json() == {"state": "cancelled"}
    assert "sven" not in otto.get("/api/credentials").text


def test_a_given_token_is_taken_and_belongs_to_one_name_only(queue: QueueProcess, otto: httpx.Client) -> None:
    token = "cme_" + "t" * 43
    assert otto.put("/api/credentials/participant/tina", json={"token": token}).json()["token"] == token
    assert status(queue, token) == 200
    assert otto.put("/api/credentials/participant/uwe", json={"token": token}).status_code == 409
    assert status(queue, token) == 200
    assert otto.delete("/api/credentials/participant/tina").status_code == 204
    assert status(queue, token) == 401


def test_a_name_has_one_role(otto: httpx.Client) -> None:
    answer = otto.put("/api/credentials/instructor/alice")
    assert answer.status_code == 409
    assert "participant" in answer.json()["detail"]


def test_no_participant_is_called_like_an_address_of_the_front_door(otto: httpx.Client) -> None:
    answer = otto.put("/api/credentials/participant/admin")
    assert (answer.status_code, "address of the front door" in answer.json()["detail"]) == (422, True)


def test_the_list_shows_names_and_no_tokens(otto: httpx.Client) -> None:
    listed = otto.get("/api/credentials")
    assert ("participant", "alice") in {(entry["role"], entry["name"]) for entry in listed.json()}
    assert "cme_" not in listed.text
    assert all(set(entry) == {"role", "name", "created_at"} for entry in listed.json())


def test_tokens_stand_neither_in_redis_nor_in_the_log(workbench: Workbench, queue: QueueProcess) -> None:
    with queue.client() as client:
        headers = {"Authorization": f"Bearer {token_of('alice')}"}
        client.get(f"/api/nothing/{token_of('alice')}", headers=headers)
        client.get("/api/jobs", params={"state": token_of("alice")}, headers=headers)
    with workbench.redis.client() as redis:
        kept = str(redis.hgetall("credentials"))
    for text in (kept, queue.log.read_text()):
        assert token_of("alice") not in text
        assert token_of("otto") not in text


def test_credentials_survive_a_restart_and_the_folder_does_not_undo_changes(
    queue: QueueProcess, otto: httpx.Client
) -> None:
    fresh = otto.put("/api/credentials/participant/carol").json()["token"]
    assert otto.delete("/api/credentials/worker/gpu-3").status_code == 204
    assert queue.stop() == 0
    queue.start()
    assert status(queue, fresh) == 200
    assert status(queue, token_of("carol")) == 401
    assert status(queue, token_of("gpu-3")) == 401
    with queue.client("otto") as operator:
        operator.put("/api/credentials/participant/carol", json={"token": token_of("carol")})
        operator.put("/api/credentials/worker/gpu-3", json={"token": token_of("gpu-3")})


def test_a_process_that_hangs_does_not_hold_the_change_up_for_ever(
    queue: QueueProcess, other: QueueProcess, otto: httpx.Client
) -> None:
    os.kill(other.pid, signal.SIGSTOP)
    try:
        answer = otto.put("/api/credentials/participant/vera")
        assert answer.status_code == 201
        assert "did not acknowledge" in queue.log.read_text()  # it was waited for, but not for ever
    finally:
        os.kill(other.pid, signal.SIGCONT)
    token = answer.json()["token"]
    wait_for(lambda: status(other, token) == 200, "the other process to have heard of it")
