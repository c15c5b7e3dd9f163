"""Jobs for tests of the worker: small graphs, and what became of them."""

import json
from typing import Any

import httpx

from services.worker.rehearsal import fault_names
from tests.support.wait import wait_for

Graph = dict[str, Any]
ENDS = ("succeeded", "failed", "cancelled", "dead")
END_SECONDS = 240.0
"""Three attempts with a start of the engine each, on a slow machine."""


def picture(prefix: str = "folder/picture") -> Graph:
    """Two saved pictures and two previewed ones, 16 x 8."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 8, "batch_size": 2, "color": 0xFF0000}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def fault(name: str, **inputs: Any) -> Graph:
    """One of the rehearsal engine's nodes that fail on purpose."""
    return {"9": {"class_type": name, "inputs": inputs}}


def slow(seconds: float, steps: int = 10, **more: Any) -> Graph:
    """A node that works for a while, and may be interrupted between its steps."""
    return fault(fault_names.SLOW, seconds=seconds, steps=steps, **more)


def endless() -> Graph:
    """Fifty minutes of work: whoever waits for its end in vain has found a fault."""
    return slow(3000, steps=10_000)


def submit(client: httpx.Client, graph: Graph, **more: Any) -> str:
    """Submit and return the job's id."""
    answer = client.post("/api/jobs", json={"workflow": graph, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def view(client: httpx.Client, job: str) -> dict[str, Any]:
    """The job as its owner reads it."""
    answer = client.get(f"/api/jobs/{job}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    """Wait for the job's end and return it."""

    def final() -> dict[str, Any] | None:
        seen = view(client, job)
        return seen if seen["state"] in ENDS else None

    seen = wait_for(final, f"the job {job} to end", limit=END_SECONDS)
    assert seen is not None
    return seen


def until_running(client: httpx.Client, job: str) -> None:
    """Wait until a worker has the job."""

    def runs() -> bool:
        seen = view(client, job)
        assert seen["state"] not in ENDS, seen
        return bool(seen["state"] == "running")

    wait_for(runs, "the job to run")


def events_of(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    """All events about a job up to its end, oldest first."""
    events: list[dict[str, Any]] = []
    with client.stream("GET", "/api/events", params={"after": "0"}) as answer:
        for line in answer.iter_lines():
            if not line.startswith("data:"):
                continue
            event = json.loads(line.removeprefix("data:"))
            if event["job"] == job:
                events.append(event)
                if event["type"].removeprefix("job.") in ENDS:
                    return events
    raise AssertionError("the stream of events ended early")
