"""The documentation of the API: complete, readable, and true under schemathesis (no answer of the 500s)."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from services.domain.names import Role
from services.queue_manager.app import create_app
from services.queue_manager.settings import QueueManagerSettings
from tests.support.http_routes import addresses
from tests.support.queue_process import QueueProcess, bearer
from tests.support.redis_server import RedisServer

NAMES = {Role.PARTICIPANT: "alice", Role.INSTRUCTOR: "ines", Role.OPERATOR: "otto", Role.WORKER: "gpu-1"}
ENDLESS = "/api/events"
WAITS = {"wait", "wait_seconds"}

app = create_app(QueueManagerSettings())
document: dict[str, Any] = app.openapi()
schema = schemathesis.openapi.from_dict(document)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every documented (method, path, operation)."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_is_documented() -> None:
    documented = {(method, path) for method, path, _ in operations()}
    existing = {
        (method, path.replace(":path}", "}")) for method, path in addresses(app) if method not in ("WS", "HEAD")
    }
    assert {(method, path) for method, path in existing if method not in ("WS", "HEAD")} <= documented


@pytest.mark.parametrize(("method", "path", "operation"), [*operations()], ids=lambda value: str(value)[:60])
def test_an_operation_says_what_it_does_what_it_refuses_and_who_may(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"], (method, path)
    assert operation["description"].rstrip().endswith("."), (method, path)
    assert len(operation["tags"]) >= 1
    if path in ("/healthz", "/readyz"):
        return
    assert operation["security"] == [{"HTTPBearer": []}]
    assert {"401", "403"} <= set(operation["responses"])
    refusal = operation["responses"]["401"]["content"]["application/json"]["schema"]
    assert refusal == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_all_tags_are_explained_and_operations_are_named_once() -> None:
    explained = {tag["name"] for tag in document["tags"]}
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} <= explained
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueProcess]:
    """A running queue manager."""
    with (
        RedisServer(tmp_path_factory.mktemp("redis")) as redis,
        QueueProcess(tmp_path_factory.mktemp("queue"), redis.url) as process,
    ):
        yield process


def who_may(path: str) -> Role:
    """A role that gets through to the inside of the route."""
    if path.startswith(("/api/leases", "/api/workers/")):
        return Role.WORKER
    if path.startswith("/api/credentials"):
        return Role.OPERATOR
    if path.startswith(("/api/queue", "/api/participants", "/api/workers", "/metrics")) or path.endswith(
        ("run-next", "preempt", "priority")
    ):
        return Role.INSTRUCTOR
    return Role.PARTICIPANT


@pytest.mark.slow
@schema.exclude(path=ENDLESS).parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_that_fits_the_documentation_or_nearly_does_is_answered_with_a_5xx(
    queue: QueueProcess, case: "schemathesis.Case[Any]"
) -> None:
    shorten_waits(case)
    answer = case.call(base_url=queue.url, headers=bearer(NAMES[who_may(case.path)]), timeout=60)
    assert answer.status_code < 500, (case.as_curl_command(), answer.status_code, answer.text[:500])
    if answer.status_code >= 400 and case.method != "HEAD":
        assert {"error", "detail"} <= set(answer.json())


def shorten_waits(case: "schemathesis.Case[Any]") -> None:
    """Do not wait for jobs that never come."""
    for place in (case.query, case.body):
        if isinstance(place, dict):
            for name in WAITS & set(place):
                place[name] = 0
