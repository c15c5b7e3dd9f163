"""Messages and reports on their way to a queue manager that is not always there."""

import asyncio
from typing import Any

import httpx
import pytest
from aiohttp import web

from services.domain.errors import LeaseLost, StorageFull, Unavailable, WorkshopError
from services.domain.job import JobError, Lease
from services.worker.heartbeat import Heartbeat
from services.worker.queue_client import NotRegistered, QueueClient, error_of, parse_lease
from services.worker.relay import Relay
from tests.support.queue_stub import QueueStub
from tests.support.wait import wait_until

JOB = "11111111-2222-4333-8444-555555555555"
LEASE = Lease(job_id=JOB, token="t", participant="alice", attempt=1, number=1, expires_at=0, lease_seconds=0.3)


def progress(value: int, node: str = "1") -> dict[str, Any]:
    return {"type": "progress", "data": {"value": value, "node": node}}


def other(name: str) -> dict[str, Any]:
    return {"type": name, "data": {}}


def client_of(stub: QueueStub) -> QueueClient:
    return QueueClient(stub.url, "gpu-1", lambda: "token")


def lost_lease() -> web.Response:
    return web.json_response({"error": "lease_lost", "detail": "Too late."}, status=409)


async def test_messages_arrive_in_order_and_only_overtaken_progress_is_left_out() -> None:
    sent = [other("a"), progress(1), progress(2), progress(1, "2"), progress(3), other("b"), progress(4), other("c")]
    async with QueueStub() as stub:
        queue = client_of(stub)
        async with Relay(queue, LEASE, lambda: None) as relay:
            for message in sent:
                relay.message(message)
            await relay.flush()
        await queue.close()
        arrived = [message for batch in stub.bodies("events") for message in batch]
    assert arrived == [other("a"), progress(3), progress(1, "2"), other("b"), progress(4), other("c")]


async def test_large_messages_travel_in_requests_of_their_own() -> None:
    async with QueueStub() as stub:
        queue = client_of(stub)
        async with Relay(queue, LEASE, lambda: None) as relay:
            for number in range(6):
                relay.message({"type": f"big {number}", "data": {"text": "x" * 700_000}})
            await relay.flush()
        await queue.close()
        batches = stub.bodies("events")
    assert [message["type"] for batch in batches for message in batch] == [f"big {number}" for number in range(6)]
    assert max(len(batch) for batch in batches) == 2


async def test_messages_wait_until_the_queue_manager_is_back() -> None:
    away = True

    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        return web.json_response({"error": "unavailable", "detail": "Redis is away."}, status=503) if away else None

    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        async with Relay(queue, LEASE, lambda: None) as relay:
            for name in ("a", "b", "c"):
                relay.message(other(name))
            await wait_until(lambda: len(stub.calls) > 2, "a few vain tries")
            away = False
            before = len(stub.calls)
            await relay.flush()
        await queue.close()
        assert [m["type"] for _, batch in stub.calls[before:] for m in batch][-3:] == ["a", "b", "c"]


async def test_the_newest_preview_of_each_node_wins() -> None:
    gate = asyncio.Event()

    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        await gate.wait()
        return None

    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        async with Relay(queue, LEASE, lambda: None) as relay:
            relay.frame("preview 1", b"first")
            await wait_until(lambda: stub.calls, "the first preview")
            for number in range(10):
                relay.frame("preview 1", b"one %d" % number)
                relay.frame("preview 2", b"two %d" % number)
            gate.set()
            await wait_until(lambda: len(stub.calls) == 3, "the newest of both nodes")
        await queue.close()
        assert stub.bodies("preview") == [b"first", b"one 9", b"two 9"]


async def test_a_lost_lease_ends_the_relay_and_is_told() -> None:
    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        return lost_lease()

    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        lost = asyncio.Event()
        async with Relay(queue, LEASE, lost.set) as relay:
            relay.message(other("a"))
            await relay.flush()
            assert lost.is_set()
        await queue.close()


async def test_a_heartbeat_tells_once_that_the_job_is_to_stop_and_goes_on_beating() -> None:
    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        return web.json_response({"expires_at": 1, "stop": "cancelled"})

    told: list[str] = []
    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        async with Heartbeat(queue, LEASE, on_stop=told.append, on_lost=lambda: None):
            await wait_until(lambda: len(stub.calls) >= 3, "more beats")
        await queue.close()
    assert told == ["cancelled"]


async def test_a_heartbeat_outlives_a_queue_manager_that_is_away_and_ends_with_a_lost_lease() -> None:
    beats = 0

    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        nonlocal beats
        beats += 1
        return web.Response(status=502) if beats < 4 else lost_lease()

    lost = asyncio.Event()
    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        async with Heartbeat(queue, LEASE, on_stop=lambda _reason: None, on_lost=lost.set):
            await asyncio.wait_for(lost.wait(), 90)
        await queue.close()
    assert beats == 4


async def test_an_end_is_reported_until_it_is_answered() -> None:
    answers = [502, 503, 429, 200]

    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        return web.json_response({"state": "failed"}, status=answers.pop(0))

    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        assert await queue.fail(LEASE, JobError(type="x", message="y"), retryable=False) == "failed"
        await queue.close()
        assert answers == []


async def test_an_end_is_not_reported_again_once_the_lease_is_lost() -> None:
    async def answer(_request: web.Request, _body: Any) -> web.Response | None:
        return lost_lease()

    async with QueueStub() as stub:
        stub.answer = answer
        queue = client_of(stub)
        with pytest.raises(LeaseLost):
            await queue.complete(LEASE, {})
        await queue.close()
        assert len(stub.calls) == 1


@pytest.mark.parametrize(
    ("status", "path", "error"),
    [
        (404, "/api/leases/x/complete", LeaseLost),
        (404, "/api/leases/x/inputs/abc", WorkshopError),
        (409, "/api/leases", NotRegistered),
        (500, "/api/leases", Unavailable),
        (507, "/api/leases/x/outputs", StorageFull),
        (422, "/api/leases/x/events", WorkshopError),
    ],
)
def test_each_refusal_has_its_meaning(status: int, path: str, error: type[WorkshopError]) -> None:
    answer = httpx.Response(status, request=httpx.Request("POST", f"http://queue{path}"), text="no JSON")
    assert type(error_of(answer)) is error


def test_a_lease_is_read_with_its_body_untouched() -> None:
    header = LEASE.model_dump_json().encode()
    body = b'{"workflow": {"1": {}}, "extra_data": {"x":  1}}'
    leased = parse_lease(len(header).to_bytes(4, "big") + header + body)
    assert (leased.lease, leased.body) == (LEASE, body)
