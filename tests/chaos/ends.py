"""What must be true once all is quiet: one end for each job, one set of files with its owner, nobody else's files."""

import asyncio
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import websockets

from tests.chaos.participants import Handed, follow, hand_in
from tests.chaos.pictures import is_expected, workflow
from tests.chaos.workshop import Workshop

ENDS = {"job.succeeded", "job.failed", "job.cancelled", "job.dead"}
MAX_ATTEMPTS = 3
QUIET_LIMIT_SECONDS = 120.0


async def check_all(workshop: Workshop, jobs: Sequence[Handed]) -> Counter[str]:
    """Check every job; how many ended in which state. Raises AssertionError with the first thing that is wrong."""
    by_owner: dict[str, list[Handed]] = defaultdict(list)
    for job in jobs:
        by_owner[job.owner].append(job)
    ends = await end_events(workshop, list(by_owner))
    for owner, own in by_owner.items():
        async with workshop.client(owner) as client:
            listed = (await client.get("/api/jobs", params={"limit": 200})).json()["jobs"]
            assert sorted(job["id"] for job in listed) == sorted(job.id for job in own), f"{owner}'s list is another"
            for job in own:
                record = (await client.get(f"/api/jobs/{job.id}")).json()
                _check_state(job, record, ends[job.id])
                await _check_files(workshop, client, job, record)
    _check_no_foreign_files(workshop, jobs)
    return Counter(job.record["state"] for job in jobs)


def _check_state(job: Handed, record: dict[str, Any], ends: list[str]) -> None:
    state = record["state"]
    assert state == job.record["state"], f"job {job.number} changed its end from {job.record['state']} to {state}"
    assert ends == [f"job.{state}"], f"job {job.number} is {state}, its end events are {ends}"
    if state == "dead":
        assert record["attempt"] == MAX_ATTEMPTS, f"job {job.number} died at attempt {record['attempt']}"
        assert record["error"]["type"] and record["error"]["message"], f"job {job.number} died without a reason"
    else:
        assert state == "succeeded", f"job {job.number} ended as {state}: {record['error']}"


async def _check_files(workshop: Workshop, client: Any, job: Handed, record: dict[str, Any]) -> None:
    folder = workshop.data / "outputs" / job.owner / job.id
    on_disk = [path for path in folder.rglob("*") if path.is_file()]
    if record["state"] != "succeeded":
        assert not on_disk and not record["outputs"], f"job {job.number} ended as {record['state']} and has files"
        return
    listed = (await client.get(f"/api/jobs/{job.id}/outputs")).json()["outputs"]
    assert len(listed) == len(on_disk) == 1, f"job {job.number}: {len(listed)} files listed, {len(on_disk)} on the disk"
    answer = await client.get(listed[0]["url"])
    assert answer.status_code == 200, f"job {job.number}'s file answers {answer.status_code}"
    content = on_disk[0].read_bytes()
    assert content == answer.content, f"job {job.number}: the file on the disk is not the one that is sent"
    assert hashlib.sha256(content).hexdigest() == listed[0]["sha256"], f"job {job.number}: another file than recorded"
    assert is_expected(content, job.number), f"job {job.number}: the picture is not its own"


def _check_no_foreign_files(workshop: Workshop, jobs: Sequence[Handed]) -> None:
    known = {(job.owner, job.id) for job in jobs}
    found = {(path.parent.name, path.name) for path in (workshop.data / "outputs").glob("*/*")}
    assert found <= known, f"files of nobody's jobs: {found - known}"


async def end_events(workshop: Workshop, people: Sequence[str]) -> dict[str, list[str]]:
    """Read every participant's stream from its beginning up to a mark set now: job id -> its end events, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for person in people:
        for event in await events_of(workshop, person):
            if event["type"] in ENDS:
                found[event["job"]].append(event["type"])
    return found


async def events_of(workshop: Workshop, person: str) -> list[dict[str, Any]]:
    """All kept events of one participant, up to the end of a job that is handed in and cancelled as a mark."""
    mark = Handed(0, person, workflow(0, 0.0))
    async with workshop.client(person) as client:
        await hand_in(client, mark)
        await client.post(f"/api/jobs/{mark.id}/cancel")
        await follow(client, mark)
        events = []
        async with asyncio.timeout(QUIET_LIMIT_SECONDS):
            async for event in stream(workshop, person):
                if event["job"] == mark.id and event["type"] in ENDS:
                    break
                events.append(event)
        assert (await client.delete(f"/api/jobs/{mark.id}")).status_code in (200, 204)
    return [event for event in events if event["job"] != mark.id]


async def stream(workshop: Workshop, person: str) -> AsyncIterator[dict[str, Any]]:
    """A participant's events over WebSocket, from the first that is kept; without end."""
    url = f"{workshop.url.replace('http', 'ws')}/api/events/ws?after=0-0"
    headers = {"Authorization": f"Bearer {workshop.tokens[person]}"}
    async with websockets.connect(url, additional_headers=headers, max_size=None, proxy=None) as socket:
        async for message in socket:
            if isinstance(message, str):
                yield json.loads(message)
