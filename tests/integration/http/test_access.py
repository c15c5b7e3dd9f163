"""Every route against every role: who gets through, who is refused, and that nobody sees what is another's."""

import contextlib
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from services.domain.names import Role
from services.queue_manager.app import create_app
from services.queue_manager.settings import QueueManagerSettings
from tests.support.http_routes import Address, addresses
from tests.support.queue_process import QueueProcess, bearer
from tests.support.workbench import GRAPH, Person, Workbench

pytestmark = pytest.mark.slow

P, I, O, W = Role.PARTICIPANT, Role.INSTRUCTOR, Role.OPERATOR, Role.WORKER  # noqa: E741 - the contract's letters
NAMES = {P: "alice", I: "ines", O: "otto", W: "gpu-1"}

JOB = "11111111-2222-4333-8444-555555555555"
LEASE = "/api/leases/{job_id}"
SUBMIT = {P, I}
READ = {P, I, O}
ROOM = {I, O}
EVERYBODY = set(Role)

ALLOWED: dict[Address, set[Role] | None] = {
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/metrics"): ROOM,
    ("POST", "/api/jobs"): SUBMIT,
    ("POST", "/api/jobs/batch"): SUBMIT,
    ("GET", "/api/jobs"): READ,
    ("POST", "/api/jobs/cancel"): SUBMIT,
    ("GET", "/api/jobs/{job_id}"): READ,
    ("DELETE", "/api/jobs/{job_id}"): SUBMIT,
    ("GET", "/api/jobs/{job_id}/workflow"): READ,
    ("POST", "/api/jobs/{job_id}/cancel"): SUBMIT,
    ("POST", "/api/jobs/{job_id}/requeue"): SUBMIT,
    ("POST", "/api/jobs/{job_id}/run-next"): {I},
    ("POST", "/api/jobs/{job_id}/preempt"): {I},
    ("PUT", "/api/jobs/{job_id}/priority"): {I},
    ("GET", "/api/jobs/{job_id}/outputs"): READ,
    ("GET", "/api/jobs/{job_id}/outputs/{type}/{path:path}"): READ,
    ("HEAD", "/api/jobs/{job_id}/outputs/{type}/{path:path}"): READ,
    ("GET", "/api/inputs"): SUBMIT,
    ("PUT", "/api/inputs/{name:path}"): SUBMIT,
    ("GET", "/api/inputs/{name:path}"): SUBMIT,
    ("HEAD", "/api/inputs/{name:path}"): SUBMIT,
    ("DELETE", "/api/inputs/{name:path}"): SUBMIT,
    ("GET", "/api/events"): READ,
    ("WS", "/api/events/ws"): READ,
    ("GET", "/api/catalogue"): READ,
    ("GET", "/api/catalogue/models"): READ,
    ("GET", "/api/extensions"): READ,
    ("GET", "/api/extensions/{name:path}"): READ,
    ("GET", "/api/workflows"): READ,
    ("GET", "/api/workflows/{name}"): READ,
    ("PUT", "/api/workflows/{name}"): ROOM,
    ("DELETE", "/api/workflows/{name}"): ROOM,
    ("GET", "/api/queue"): READ,
    ("PUT", "/api/queue/discipline"): {I},
    ("PUT", "/api/queue/paused"): {I},
    ("PUT", "/api/queue/draining"): {I},
    ("PUT", "/api/queue/caps"): {I},
    ("POST", "/api/queue/session"): {I},
    ("PUT", "/api/participants/{name}/caps"): {I},
    ("GET", "/api/credentials"): ROOM,
    ("PUT", "/api/credentials/{role}/{name}"): {O},
    ("DELETE", "/api/credentials/{role}/{name}"): {O},
    ("GET", "/api/workers"): ROOM,
    ("PUT", "/api/workers/{name}"): {W},
    ("DELETE", "/api/workers/{name}"): {W},
    ("PUT", "/api/workers/{name}/catalogue"): {W},
    ("PUT", "/api/workers/{name}/extensions"): {W},
    ("PUT", "/api/workers/{name}/draining"): {W},
    ("POST", "/api/leases"): {W},
    ("POST", LEASE + "/heartbeat"): {W},
    ("POST", LEASE + "/events"): {W},
    ("POST", LEASE + "/preview"): {W},
    ("PUT", LEASE + "/outputs"): {W},
    ("GET", LEASE + "/inputs/{sha256}"): {W},
    ("POST", LEASE + "/complete"): {W},
    ("POST", LEASE + "/fail"): {W},
    ("POST", LEASE + "/cancelled"): {W},
    ("POST", LEASE + "/return"): {W},
}
"""Who may use which route; None: no credential is asked for. A new route has to be entered here."""

BODIES: dict[Address, object] = {
    ("POST", "/api/jobs"): {"workflow": GRAPH},
    ("POST", "/api/jobs/batch"): {"jobs": [{"workflow": GRAPH}]},
    ("POST", "/api/jobs/cancel"): {"states": ["queued"]},
    ("PUT", "/api/jobs/{job_id}/priority"): {"priority": "low"},
    ("PUT", "/api/workflows/{name}"): {"nodes": []},
    ("PUT", "/api/queue/discipline"): {"discipline": "round_robin"},
    ("PUT", "/api/queue/paused"): {"paused": False},
    ("PUT", "/api/queue/draining"): {"draining": False},
    ("PUT", "/api/queue/caps"): {"waiting": 32, "running": 1},
    ("PUT", "/api/participants/{name}/caps"): {"waiting": 32},
    ("PUT", "/api/workers/{name}"): {"comfyui_version": "0.33.0", "rehearsal": True, "catalogue_sha256": "0" * 64},
    ("PUT", "/api/workers/{name}/extensions"): {"pack/a.js": ""},
    ("PUT", "/api/workers/{name}/draining"): {"draining": False},
    ("POST", "/api/leases"): {"worker": "nobody"},
    ("POST", LEASE + "/events"): [{"type": "status", "data": {}}],
    ("POST", LEASE + "/complete"): {"executed": {}},
    ("POST", LEASE + "/fail"): {"error": {"type": "x", "message": "y"}, "retryable": False},
    ("POST", LEASE + "/return"): {"reason": "test"},
}
"""Bodies that are in order, so that nothing but the credential can be the reason of a refusal."""

QUERIES = {("PUT", LEASE + "/outputs"): {"node_id": "2", "kind": "images", "type": "output", "filename": "a.png"}}
NEUTRAL = {
    "name": "nobody",
    "role": "participant",
    "job_id": JOB,
    "type": "output",
    "path": "a.png",
    "sha256": "0" * 64,
}


def address_of(pattern: str) -> str:
    """Fill a pattern with names that belong to nobody."""
    return pattern.replace(":path}", "}").format(**NEUTRAL)


@contextlib.contextmanager
def asking(queue: QueueProcess, address: Address, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """Send one request and give its answer, of which nothing but the head has been read."""
    method, pattern = address
    with (
        queue.client() as client,
        client.stream(
            method,
            address_of(pattern),
            headers={"X-Lease-Token": "none", **headers},
            params=QUERIES.get(address),
            json=BODIES.get(address),
        ) as answer,
    ):
        yield answer


def status_of(queue: QueueProcess, address: Address, name: str | None) -> int:
    """The status with which the route answers the credential of `name`."""
    headers = bearer(name) if name else {}
    if address[0] == "WS":
        try:
            with connect(queue.url.replace("http", "ws") + address[1], additional_headers=headers, open_timeout=60):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code
    with asking(queue, address, headers) as answer:
        return answer.status_code


def test_every_route_of_the_application_has_an_entry_in_the_table_of_roles() -> None:
    assert set(addresses(create_app(QueueManagerSettings()))) == set(ALLOWED)


@pytest.mark.parametrize("address", ALLOWED, ids=" ".join)
def test_a_route_lets_its_roles_through_and_refuses_all_others(queue: QueueProcess, address: Address) -> None:
    allowed = ALLOWED[address]
    found = {role: status_of(queue, address, NAMES[role]) for role in Role}
    if allowed is None:
        assert status_of(queue, address, None) == 200
        return
    assert status_of(queue, address, None) == 401
    assert {role for role, status in found.items() if status == 401} == set()
    if address in SPEAKS_FOR_ITSELF:
        assert set(found.values()) == {403}  # the right role, too, speaks for its own name only
    else:
        assert {role for role, status in found.items() if status != 403} == allowed
    assert all(status < 500 for status in found.values())


SPEAKS_FOR_ITSELF = {
    ("PUT", "/api/workers/{name}"),
    ("DELETE", "/api/workers/{name}"),
    ("PUT", "/api/workers/{name}/catalogue"),
    ("PUT", "/api/workers/{name}/extensions"),
    ("PUT", "/api/workers/{name}/draining"),
    ("POST", "/api/leases"),
}
"""Routes whose name has to be the credential's; the table's requests use somebody else's."""


def test_a_token_that_nobody_was_given_is_refused_everywhere(queue: QueueProcess) -> None:
    wrong = {"Authorization": "Bearer cme_" + "x" * 43}
    for address, allowed in ALLOWED.items():
        if allowed is not None and address[0] != "WS":
            with asking(queue, address, wrong) as answer:
                assert answer.status_code == 401, address
                assert answer.headers.get("www-authenticate") == "Bearer"


def test_for_an_unknown_sender_there_is_nothing_to_find_out(queue: QueueProcess) -> None:
    with queue.client() as client:
        for method, path, body in (
            ("GET", "/api/nothing", b""),
            ("PUT", "/api/jobs", b""),
            ("PUT", "/api/queue/caps", b"not json"),
            ("PUT", "/api/queue/caps", b"[" * 100_000),
            ("POST", "/api/jobs", b"not json"),
            ("GET", "/api/jobs?limit=wrong", b""),
        ):
            answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["error"]) == (401, "not_signed_in"), path


JOB_ROUTES = [
    address
    for address, allowed in ALLOWED.items()
    if "/jobs/{job_id}" in address[1] and allowed is not None and Role.PARTICIPANT in allowed
]


@pytest.mark.parametrize("address", JOB_ROUTES, ids=" ".join)
def test_a_foreign_job_and_an_unknown_job_are_the_same_404(
    queue: QueueProcess, alice: Person, bob: Person, address: Address
) -> None:
    bobs = bob.submit()
    path = address_of(address[1])
    foreign = alice.http.request(address[0], path.replace(JOB, bobs), json=BODIES.get(address))
    unknown = alice.http.request(address[0], path, json=BODIES.get(address))
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.text.replace(bobs, JOB) == unknown.text
    assert bob.job(bobs)["state"] == "queued"


def test_a_worker_cannot_touch_a_job_without_its_lease_token(workbench: Workbench, alice: Person) -> None:
    alice.submit()
    leased = workbench.lease()
    for token in (b"", b"none", b"x" * 24, "é".encode()):
        headers = {b"X-Lease-Token": token}
        for what, body in (("complete", {}), ("cancelled", {}), ("return", {}), ("heartbeat", None)):
            answer = leased.http.post(f"{leased.path}/{what}", json=body, headers=headers)
            assert answer.status_code in (409, 422), (what, token, answer.text)
    assert alice.job(leased.lease["job_id"])["state"] == "running"
    assert leased.complete().json() == {"state": "succeeded"}


def test_a_list_holds_ones_own_jobs_only_and_the_instructor_sees_all(
    alice: Person, bob: Person, ines: httpx.Client
) -> None:
    mine, his = alice.submit(), bob.submit()

    def ids(client: httpx.Client, **query: str) -> set[str]:
        return {job["id"] for job in client.get("/api/jobs", params={"state": "queued", **query}).json()["jobs"]}

    assert ids(alice.http) == {mine}
    assert ids(bob.http) == {his}
    assert ids(ines) == {mine, his}
    assert ids(ines, participant="bob") == {his}
    assert alice.http.get("/api/jobs", params={"participant": "bob"}).status_code == 403


def test_a_participant_sees_nobody_else_in_the_room(alice: Person, bob: Person, ines: httpx.Client) -> None:
    alice.submit()
    bob.submit()
    room = alice.http.get("/api/queue").json()
    assert [person["name"] for person in room["participants"]] == ["alice"]
    assert room["waiting"] == 2
    assert {person["name"] for person in ines.get("/api/queue").json()["participants"]} >= {"alice", "bob"}
