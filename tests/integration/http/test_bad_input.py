"""Bad input of every sort: one clear sentence, a status of the 400s, nothing leaked, nothing changed."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.queue_process import QueueProcess, bearer
from tests.support.workbench import GRAPH, Person

pytestmark = pytest.mark.slow

GRAPH_TEXT = json.dumps(GRAPH).encode()
DEEP = b"[" * 50_000 + b"]" * 50_000

BAD_SUBMITS: dict[str, tuple[bytes, int, str]] = {
    "no body": (b"", 422, "JSON"),
    "no JSON": (b"hello", 422, "JSON"),
    "a list": (b"[]", 422, "body"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 422, "JSON"),
    "cut off": (b'{"workflow": {"1"', 422, "JSON"),
    "no workflow": (b"{}", 422, "workflow"),
    "workflow is text": (b'{"workflow": "x"}', 422, "workflow"),
    "workflow is null": (b'{"workflow": null}', 422, "workflow"),
    "workflow is a list": (b'{"workflow": []}', 422, "workflow"),
    "workflow is empty": (b'{"workflow": {}}', 400, "workflow"),
    "workflow of texts": (b'{"workflow": {"1": "x"}}', 422, "workflow"),
    "node without class": (b'{"workflow": {"1": {"inputs": {}}}}', 400, "workflow"),
    "unknown class": (b'{"workflow": {"1": {"class_type": "Nope", "inputs": {}}}}', 400, "Nope"),
    "no output": (b'{"workflow": {"1": {"class_type": "EmptyImage", "inputs": {"width": 8}}}}', 400, "output"),
    "not UTF-8": (b'{"label": "\xff", "workflow": ' + GRAPH_TEXT + b"}", 422, "UTF-8"),
    "not UTF-8 in the graph": (b'{"workflow": {"1": {"class_type": "\xff", "inputs": {}}}}', 422, "UTF-8"),
    "lone surrogate": (b'{"label": "\\ud800", "workflow": ' + GRAPH_TEXT + b"}", 422, "surrogate"),
    "lone surrogate in the graph": (
        b'{"workflow": {"1": {"class_type": "\\udfff x", "inputs": {}}}}',
        422,
        "surrogate",
    ),
    "NaN": (b'{"workflow": {"1": {"class_type": "EmptyImage", "inputs": {"width": NaN}}}}', 422, "NaN"),
    "infinity": (b'{"workflow": {"1": {"class_type": "EmptyImage", "inputs": {"width": -Infinity}}}}', 422, "Infinity"),
    "deep nesting": (b'{"workflow": ' + DEEP + b"}", 422, "deep"),
    "deep nesting in extra_data": (b'{"workflow": {}, "extra_data": ' + DEEP + b"}", 422, "deep"),
    "huge number": (b'{"workflow": ' + GRAPH_TEXT + b', "label": 1' + b"0" * 5000 + b"}", 422, "label"),
    "label is a number": (b'{"label": 5, "workflow": ' + GRAPH_TEXT + b"}", 422, "label"),
    "label too long": (b'{"label": "' + b"x" * 201 + b'", "workflow": ' + GRAPH_TEXT + b"}", 422, "label"),
    "client_id too long": (b'{"client_id": "' + b"x" * 201 + b'", "workflow": ' + GRAPH_TEXT + b"}", 422, "client_id"),
    "id is no UUID": (b'{"id": "x", "workflow": ' + GRAPH_TEXT + b"}", 422, "id"),
    "id is path-like": (b'{"id": "../../etc/passwd", "workflow": ' + GRAPH_TEXT + b"}", 422, "id"),
    "id in capitals": (
        b'{"id": "0B9C3B9E-6F0E-4D39-9F0B-0A4F4C8C2A11", "workflow": ' + GRAPH_TEXT + b"}",
        422,
        "id",
    ),
    "extra_data is text": (b'{"extra_data": "x", "workflow": ' + GRAPH_TEXT + b"}", 422, "extra_data"),
    "front is text": (b'{"front": "yes", "workflow": ' + GRAPH_TEXT + b"}", 422, "front"),
    "priority unknown": (b'{"priority": "king", "workflow": ' + GRAPH_TEXT + b"}", 422, "priority"),
    "priority by a participant": (b'{"priority": "high", "workflow": ' + GRAPH_TEXT + b"}", 403, "priority"),
    "unknown field": (b'{"participant": "bob", "workflow": ' + GRAPH_TEXT + b"}", 422, "participant"),
    "targets are text": (b'{"partial_execution_targets": "2", "workflow": ' + GRAPH_TEXT + b"}", 422, "targets"),
    "target too long": (
        b'{"partial_execution_targets": ["' + b"9" * 201 + b'"], "workflow": ' + GRAPH_TEXT + b"}",
        422,
        "targets",
    ),
    "workflow twice": (b'{"workflow": {}, "workflow": ' + GRAPH_TEXT + b"}", 422, "twice"),
    "label twice": (b'{"label": "a", "workflow": ' + GRAPH_TEXT + b', "label": "b"}', 422, "twice"),
    "label twice, once disguised": (
        b'{"label": "a", "workflow": ' + GRAPH_TEXT + b', "l\\u0061bel": "b"}',
        422,
        "twice",
    ),
}

BAD_BODIES: list[tuple[str, str, str, Any, str]] = [
    ("ines", "PUT", "/api/queue/discipline", {"discipline": "chaos"}, "discipline"),
    ("ines", "PUT", "/api/queue/discipline", {}, "discipline"),
    ("ines", "PUT", "/api/queue/paused", {"paused": "yes"}, "paused"),
    ("ines", "PUT", "/api/queue/paused", {"paused": True, "also": 1}, "also"),
    ("ines", "PUT", "/api/queue/caps", {"waiting": -1, "running": 1}, "waiting"),
    ("ines", "PUT", "/api/queue/caps", {"waiting": 10**30, "running": 1}, "waiting"),
    ("ines", "PUT", "/api/queue/caps", {"waiting": 1.5, "running": 1}, "waiting"),
    ("ines", "PUT", "/api/queue/caps", {"waiting": "5", "running": 1}, "waiting"),
    ("ines", "PUT", "/api/participants/Bad%20Name/caps", {"waiting": 1}, "name"),
    ("ines", "PUT", "/api/participants/..%2F..%2Fetc/caps", {"waiting": 1}, ""),
    ("otto", "PUT", "/api/credentials/participant/..", None, ""),
    ("otto", "PUT", "/api/credentials/participant/UPPER", None, "name"),
    ("otto", "PUT", "/api/credentials/participant/" + "a" * 33, None, "name"),
    ("otto", "PUT", "/api/credentials/king/arthur", None, "role"),
    ("otto", "PUT", "/api/credentials/participant/dora", {"token": "short"}, "token"),
    ("otto", "PUT", "/api/credentials/participant/dora", {"token": 5}, "token"),
    ("alice", "GET", "/api/jobs?limit=0", None, "limit"),
    ("alice", "GET", "/api/jobs?limit=99999999999999999999", None, "limit"),
    ("alice", "GET", "/api/jobs?state=happy", None, "state"),
    ("alice", "GET", "/api/jobs?before=%00%ff", None, ""),
    ("alice", "GET", "/api/jobs?before=xyz", None, ""),
    ("alice", "GET", "/api/jobs/..%2f..%2fetc%2fpasswd", None, ""),
    ("alice", "GET", "/api/jobs/%00", None, ""),
    ("alice", "GET", "/api/jobs/" + "a" * 5000, None, ""),
    ("alice", "POST", "/api/jobs/cancel", {"states": ["succeeded"]}, "states"),
    ("alice", "POST", "/api/jobs/cancel", {"states": "queued"}, "states"),
    ("alice", "POST", "/api/jobs/batch", {"jobs": []}, "jobs"),
    ("alice", "POST", "/api/jobs/batch", {"jobs": [{"workflow": GRAPH}] * 101}, "jobs"),
    ("alice", "POST", "/api/jobs/batch", {"jobs": [{"workflow": GRAPH}, {"workflow": 5}]}, "workflow"),
    ("gpu-1", "POST", "/api/leases", {"worker": "gpu-1", "wait_seconds": 31}, "wait_seconds"),
    ("gpu-1", "POST", "/api/leases", {"worker": "gpu-1", "wait_seconds": "5"}, "wait_seconds"),
    ("gpu-1", "POST", "/api/leases", {"worker": 5}, "worker"),
    ("gpu-1", "POST", "/api/leases", {}, "worker"),
    ("gpu-1", "PUT", "/api/workers/gpu-1", {"comfyui_version": "1", "rehearsal": 1}, "rehearsal"),
    ("gpu-1", "PUT", "/api/workers/gpu-1", [], ""),
    ("gpu-1", "POST", "/api/leases/x/heartbeat?wait=nan", None, "wait"),
    ("gpu-1", "POST", "/api/leases/x/heartbeat?wait=11", None, "wait"),
]

RAW_BODIES = {
    "NaN": b'{"waiting": NaN, "running": 1}',
    "endless number": b'{"waiting": 1e999, "running": 1}',
    "too many digits": b'{"waiting": ' + b"9" * 5000 + b', "running": 1}',
    "not UTF-8": b'{"waiting": "\xff"}',
    "lone surrogate": b'{"waiting": "\\udc00"}',
    "key twice": b'{"waiting": 1, "waiting": 2, "running": 1}',
    "deep": DEEP,
    "cut off": b'{"waiting": ',
    "empty": b"",
}


@pytest.fixture(scope="module")
def clients(workbench: Any) -> Iterator[dict[str, httpx.Client]]:
    """A client for everybody."""
    made = {name: workbench.queue.client(name) for name in ("alice", "ines", "otto", "gpu-1")}
    yield made
    for client in made.values():
        client.close()


def assert_clear(answer: httpx.Response, word: str = "") -> None:
    """A refusal is one sentence of the house's form, names the thing at fault and gives nothing away."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    body = answer.json()
    assert set(body) <= {"error", "detail", "node_errors", "comfy"}
    sentence = body["detail"]
    assert isinstance(sentence, str)
    assert 10 < len(sentence) < 500
    assert sentence.endswith(".")
    assert word.lower() in sentence.lower(), sentence
    for leak in ("Traceback", 'File "', "/home", "/tmp", "site-packages", "pydantic", "msgspec", "cme_x", "redis"):
        assert leak not in answer.text, answer.text


@pytest.mark.parametrize("name", BAD_SUBMITS)
def test_a_bad_submit_gets_one_clear_sentence_and_changes_nothing(alice: Person, name: str) -> None:
    body, status, word = BAD_SUBMITS[name]
    answer = alice.http.post("/api/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert_clear(answer, word)
    assert alice.http.get("/api/jobs", params={"state": "queued"}).json()["jobs"] == []


@pytest.mark.parametrize("name", BAD_SUBMITS)
def test_a_bad_job_refuses_its_whole_batch(alice: Person, name: str) -> None:
    body, _status, _word = BAD_SUBMITS[name]
    batch = b'{"jobs": [{"workflow": ' + GRAPH_TEXT + b"}, " + body + b"]}"
    assert_clear(alice.http.post("/api/jobs/batch", content=batch, headers={"content-type": "application/json"}))
    assert alice.http.get("/api/jobs", params={"state": "queued"}).json()["jobs"] == []


@pytest.mark.parametrize(("name", "method", "path", "body", "word"), BAD_BODIES)
def test_a_wrong_field_is_named(
    clients: dict[str, httpx.Client], name: str, method: str, path: str, body: Any, word: str
) -> None:
    headers = {"X-Lease-Token": "none"} if "/leases/" in path else {}
    assert_clear(clients[name].request(method, path, json=body, headers=headers), word)


@pytest.mark.parametrize("name", RAW_BODIES)
def test_a_body_that_is_no_clean_json_is_refused_by_the_ordinary_routes(
    clients: dict[str, httpx.Client], name: str
) -> None:
    headers = {"content-type": "application/json"}
    assert_clear(clients["ines"].put("/api/queue/caps", content=RAW_BODIES[name], headers=headers))


def test_a_body_of_another_type_is_refused(clients: dict[str, httpx.Client]) -> None:
    headers = {"content-type": "text/plain"}
    assert_clear(clients["ines"].put("/api/queue/caps", content=b'{"waiting": 1}', headers=headers), "application/json")


@pytest.mark.parametrize("header", [b"x" * 129, b"a b", "ä".encode(), b"\x01"])
def test_a_bad_idempotency_key_is_refused(alice: Person, header: bytes) -> None:
    answer = alice.http.post("/api/jobs", json={"workflow": GRAPH}, headers={b"Idempotency-Key": header})
    assert_clear(answer, "Idempotency-Key") if answer.headers.get("content-type") == "application/json" else None
    assert answer.status_code in (400, 422)


def chunks(total: int) -> Iterator[bytes]:
    """A body without an announced length."""
    for _ in range(total >> 16):
        yield b" " * (1 << 16)


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch", "/api/jobs/cancel"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_that_is_too_large_is_refused(queue: QueueProcess, path: str, announced: bool) -> None:
    size = 40 << 20
    with queue.client("alice") as client:
        try:
            answer = client.post(path, content=b" " * size if announced else chunks(size))
        except (httpx.WriteError, httpx.ReadError):
            return  # cut off in the middle of it: refused as well
    assert answer.status_code == 413
    assert_clear(answer, "MiB")


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999", "abc"])
def test_a_length_that_is_no_number_is_refused(queue: QueueProcess, length: str) -> None:
    token = bearer("alice")["Authorization"]
    head = f"POST /api/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: {length}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", queue.port), timeout=60) as line:
        line.sendall(head.encode())
        assert line.recv(4096).split(b" ")[1].startswith(b"4")


def test_wrong_addresses_and_methods_are_answered_in_the_same_form(clients: dict[str, httpx.Client]) -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("GET", "/api/jobs/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/api//jobs", 404),
        ("PATCH", "/api/jobs", 405),
        ("GET", "/api/jobs/cancel", 404),
        ("DELETE", "/api/queue", 405),
        ("PUT", "/api/leases", 405),
    ):
        answer = clients["alice"].request(method, path)
        assert answer.status_code == status, (path, answer.text)
        assert_clear(answer)


def test_a_refused_workflow_is_explained_in_comfyuis_own_form(alice: Person) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "not-here.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    answer = alice.http.post("/api/jobs", json={"workflow": graph})
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"] == "workflow_rejected"
    assert body["comfy"]["type"] == "prompt_outputs_failed_validation"
    assert body["node_errors"]["1"]["class_type"] == "LoadImage"
    assert body["node_errors"]["1"]["errors"][0]["type"] == "custom_validation_failed"
    assert "not-here.png" in body["detail"]
