"""Events: by socket and by server-sent events, live and resumed, to those who may see them and nobody else."""

import asyncio
import json
import random
import socket as kernel
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.support.queue_process import bearer, token_of
from tests.support.wait import wait_until
from tests.support.workbench import Person, Workbench

pytestmark = pytest.mark.slow

LIMIT = 90.0
PATIENT: dict[str, Any] = {"open_timeout": LIMIT, "ping_interval": None}
"""A client that a slow machine does not disturb."""
Event = dict[str, Any]


def _address(workbench: Workbench, query: str = "") -> str:
    return f"ws://127.0.0.1:{workbench.queue.port}/api/events/ws{query}"


@asynccontextmanager
async def _watching(workbench: Workbench, name: str, query: str = "") -> AsyncIterator[ClientConnection]:
    async with connect(_address(workbench, query), additional_headers=bearer(name), **PATIENT) as socket:
        yield socket


async def _next(socket: ClientConnection) -> Event:
    async with asyncio.timeout(LIMIT):
        while isinstance(message := await socket.recv(), bytes):
            pass
    event: Event = json.loads(message)
    return event


async def _until(socket: ClientConnection, type_: str) -> list[Event]:
    """Read events up to the first of this type."""
    events = [await _next(socket)]
    while events[-1]["type"] != type_:
        events.append(await _next(socket))
    return events


def _run(workbench: Workbench, person: Person) -> str:
    """Run a job with one progress message."""
    job_id = person.submit()
    leased = workbench.lease(job_id=job_id)
    message = {"type": "progress", "data": {"value": 1, "max": 2}}
    assert leased.http.post(f"{leased.path}/events", json=[message], headers=leased.headers).status_code == 204
    leased.complete()
    return job_id


async def test_a_viewer_sees_his_job_from_its_arrival_to_its_end(anna: Person, workbench: Workbench) -> None:
    async with _watching(workbench, anna.name) as socket:
        job_id = await asyncio.to_thread(_run, workbench, anna)
        events = await _until(socket, "job.succeeded")
    kinds = [event["type"] for event in events if event["type"] != "job.updated"]
    assert kinds[0] == "job.queued"
    assert kinds[-3:] == ["job.running", "job.progress", "job.succeeded"]
    assert {event["job"] for event in events} == {job_id}
    assert {event["participant"] for event in events} == {anna.name}
    assert events[-2]["data"] == {"message": "progress", "data": {"value": 1, "max": 2}}


async def test_a_viewer_who_comes_back_gets_what_he_missed_and_nothing_twice(
    anna: Person, workbench: Workbench
) -> None:
    async with _watching(workbench, anna.name) as socket:
        first = await asyncio.to_thread(_run, workbench, anna)
        seen = await _until(socket, "job.succeeded")
    second = await asyncio.to_thread(_run, workbench, anna)
    async with _watching(workbench, anna.name, f"?after={seen[0]['id']}") as socket:
        again = await _until(socket, "job.succeeded")
        rest = await _until(socket, "job.succeeded")
        third = await asyncio.to_thread(_run, workbench, anna)
        live = await _until(socket, "job.succeeded")
    assert [event["id"] for event in again] == [event["id"] for event in seen[1:]]
    assert (again[-1]["job"], rest[-1]["job"], live[-1]["job"]) == (first, second, third)
    ids = [event["id"] for event in seen + rest + live]
    assert len(set(ids)) == len(ids)


async def test_server_sent_events_resume_by_the_header_that_browsers_send(anna: Person, workbench: Workbench) -> None:
    first = await asyncio.to_thread(_run, workbench, anna)

    async def read(headers: dict[str, str], params: dict[str, str]) -> list[Event]:
        events: list[Event] = []
        async with (
            workbench.queue.async_client(anna.name, timeout=LIMIT) as http,
            http.stream("GET", "/api/events", headers=headers, params=params) as stream,
        ):
            assert stream.headers["content-type"].startswith("text/event-stream")
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line[6:]))
                    if events[-1]["type"] == "job.succeeded":
                        break
        return events

    whole = await asyncio.wait_for(read({}, {"after": "0"}), LIMIT)
    assert whole[-1]["job"] == first
    part = await asyncio.wait_for(read({"Last-Event-ID": whole[-2]["id"]}, {"after": "0"}), LIMIT)
    assert part == whole[-1:]


async def test_a_viewer_whose_last_event_was_trimmed_is_told_so(anna: Person, workbench: Workbench) -> None:
    await asyncio.to_thread(_run, workbench, anna)
    await asyncio.to_thread(_run, workbench, anna)
    with workbench.redis.client() as redis:
        redis.xtrim(f"events:{anna.name}", maxlen=2, approximate=False)
    async with _watching(workbench, anna.name, "?after=1-0") as socket:
        events = await _until(socket, "job.succeeded")
    assert [event["type"] for event in events] == ["missed", "job.progress", "job.succeeded"]


async def test_nobody_sees_the_events_of_somebody_else(new_person: Callable[[], Person], workbench: Workbench) -> None:
    anna, bert = new_person(), new_person()
    async with _watching(workbench, bert.name, "?after=0") as socket:
        await asyncio.to_thread(_run, workbench, anna)
        of_bert = await asyncio.to_thread(_run, workbench, bert)
        events = await _until(socket, "job.succeeded")
    assert {event["job"] for event in events} == {of_bert}
    with pytest.raises(InvalidStatus) as refused:
        async with _watching(workbench, bert.name, f"?participant={anna.name}"):
            pass
    assert refused.value.response.status_code == 403
    assert bert.http.get("/api/events", params={"participant": "*"}).status_code == 403


async def test_the_instructor_sees_one_participant_or_everybody(
    new_person: Callable[[], Person], workbench: Workbench
) -> None:
    anna, bert = new_person(), new_person()
    async with (
        _watching(workbench, "ines", "?participant=*") as room,
        _watching(workbench, "otto", f"?participant={bert.name}") as one,
    ):
        of_anna = await asyncio.to_thread(_run, workbench, anna)
        of_bert = await asyncio.to_thread(_run, workbench, bert)
        seen_of_one = await _until(one, "job.succeeded")
        seen = await _until(room, "job.succeeded") + await _until(room, "job.succeeded")
    assert {event["job"] for event in seen_of_one} == {of_bert}
    ends = [event["job"] for event in seen if event["type"] == "job.succeeded"]
    assert ends == [of_anna, of_bert]


async def test_what_happens_to_the_room_reaches_every_viewer(anna: Person, workbench: Workbench) -> None:
    with workbench.queue.client("ines") as instructor:
        async with _watching(workbench, anna.name) as socket:
            assert instructor.put("/api/queue/draining", json={"draining": False}).is_success
            event = await _next(socket)
    assert (event["type"], event["participant"], event["job"]) == ("room.draining", None, None)
    assert event["data"] == {"draining": False}


async def test_a_browser_signs_in_with_a_subprotocol(anna: Person, workbench: Workbench) -> None:
    offered = [Subprotocol("bearer"), Subprotocol(token_of(anna.name))]
    async with connect(_address(workbench), subprotocols=offered, **PATIENT) as socket:
        assert socket.subprotocol == "bearer"
        job_id = await asyncio.to_thread(anna.submit)
        assert (await _next(socket))["job"] == job_id


@pytest.mark.parametrize(
    ("name", "query", "status"),
    [(None, "", 401), ("gpu-1", "", 403), ("p0", "?after=yesterday", 422), ("ines", "?participant=..", 422)],
)
async def test_a_socket_that_may_not_open_is_refused_with_the_usual_sentence(
    workbench: Workbench, name: str | None, query: str, status: int
) -> None:
    headers = bearer(name) if name else {}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(_address(workbench, query), additional_headers=headers, **PATIENT):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["detail"].endswith(".")


async def test_previews_reach_the_owner_and_the_room_but_nobody_else(
    new_person: Callable[[], Person], workbench: Workbench
) -> None:
    anna, bert = new_person(), new_person()
    job_id = await asyncio.to_thread(anna.submit)
    leased = await asyncio.to_thread(lambda: workbench.lease(job_id=job_id))
    frame = b"\x00\x00\x00\x01\x00\x00\x00\x01jpeg bytes" * 5000
    got: dict[str, list[bytes]] = {anna.name: [], bert.name: [], "ines": []}

    async def collect(socket: ClientConnection, into: list[bytes]) -> None:
        while True:
            message = await socket.recv()
            into += [message] if isinstance(message, bytes) else []

    async def seen_by_both() -> bool:
        await asyncio.to_thread(leased.http.post, f"{leased.path}/preview", content=frame, headers=leased.headers)
        return bool(got[anna.name] and got["ines"])

    async with (
        _watching(workbench, anna.name) as own,
        _watching(workbench, bert.name) as other,
        _watching(workbench, "ines", "?participant=*") as room,
        asyncio.TaskGroup() as group,
    ):
        sockets = {anna.name: own, bert.name: other, "ines": room}
        readers = [group.create_task(collect(socket, got[name])) for name, socket in sockets.items()]
        await wait_until(seen_by_both, "the preview to arrive")
        await asyncio.to_thread(leased.complete)
        for reader in readers:
            reader.cancel()
    assert set(got[anna.name]) == set(got["ines"]) == {uuid.UUID(job_id).bytes + frame}
    assert got[bert.name] == []


async def test_a_removed_credential_closes_its_sockets(workbench: Workbench) -> None:
    with workbench.queue.client("otto") as operator:
        token = operator.put("/api/credentials/participant/leaver").json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(_address(workbench), additional_headers=headers, **PATIENT) as socket:
            assert operator.delete("/api/credentials/participant/leaver").is_success
            with pytest.raises(ConnectionClosed) as closed:
                async with asyncio.timeout(LIMIT):
                    while True:
                        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_viewer_who_never_reads_is_sent_away_and_the_others_see_everything(
    anna: Person, workbench: Workbench
) -> None:
    job_id = await asyncio.to_thread(anna.submit)
    leased = await asyncio.to_thread(lambda: workbench.lease(job_id=job_id))
    big = [{"type": "progress_state", "data": {"nodes": "x" * 20_000, "number": number}} for number in range(100)]

    async def relay() -> None:
        answer = await asyncio.to_thread(leased.http.post, f"{leased.path}/events", json=big, headers=leased.headers)
        assert answer.status_code == 204

    line = kernel.socket()
    line.setsockopt(kernel.SOL_SOCKET, kernel.SO_RCVBUF, 65536)  # else the kernel would read for the viewer
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", workbench.queue.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=1024)
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    writer.write(
        f"GET /api/events/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token_of(anna.name)}\r\n\r\n".encode()
    )
    assert b"101" in await reader.readline()
    async with _watching(workbench, anna.name) as socket:
        for _ in range(10):
            await relay()
            numbers = [event["data"]["data"]["number"] for event in [await _next_progress(socket) for _ in range(100)]]
            assert numbers == list(range(100))
        await asyncio.to_thread(leased.complete)
        await _until(socket, "job.succeeded")
    received = 0
    async with asyncio.timeout(LIMIT):
        while part := await _read_or_nothing(reader):
            received += len(part)
    assert received < 18_000_000, "of 20 MB: the stuck viewer was cut off before it had everything"
    writer.close()


async def _next_progress(socket: ClientConnection) -> Event:
    while (event := await _next(socket))["type"] != "job.progress":
        pass
    return event


async def _read_or_nothing(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1 << 20)
    except ConnectionError:
        return b""


async def test_twenty_viewers_whose_sockets_drop_at_random_see_every_end_in_order(
    new_person: Callable[[], Person], workbench: Workbench
) -> None:
    """Each viewer keeps the id of the last event, is cut off again and again, and comes back with it."""
    people = [new_person() for _ in range(20)]
    rng = random.Random(20)
    ended: dict[str, list[str]] = {person.name: [] for person in people}
    done = asyncio.Event()

    async def live(person: Person, seen: list[str]) -> None:
        last = "0"
        while not (done.is_set() and set(seen) >= set(ended[person.name])):
            try:
                async with _watching(workbench, person.name, f"?after={last}") as socket:
                    for _ in range(rng.randint(1, 7)):
                        async with asyncio.timeout(rng.uniform(0.05, 1.5)):
                            event = json.loads(await socket.recv())
                        assert _position(event["id"]) >= _position(last), "out of order"
                        last = event["id"]
                        if event["type"] in ("job.succeeded", "job.cancelled"):
                            seen.append(event["job"])
                    socket.transport.abort()
            except (TimeoutError, ConnectionClosed):
                continue

    def work() -> None:
        for turn in range(60):
            person = people[turn % len(people)]
            if turn % 3:
                ended[person.name].append(_run(workbench, person))
            else:
                job_id = person.submit()
                person.http.post(f"/api/jobs/{job_id}/cancel")
                ended[person.name].append(job_id)

    seen: dict[str, list[str]] = {person.name: [] for person in people}
    async with asyncio.timeout(240), asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(live(person, seen[person.name]))
        await asyncio.to_thread(work)
        done.set()
    for person in people:
        assert list(dict.fromkeys(seen[person.name])) == ended[person.name]


def _position(event_id: str) -> tuple[int, int]:
    head, _, tail = event_id.partition("-")
    return int(head), int(tail or 0)
