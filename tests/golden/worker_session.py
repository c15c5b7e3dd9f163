"""A session of our worker with a ComfyUI at an address, through a real queue manager: what its jobs come to.

`python -m tests.golden.worker_session http://127.0.0.1:8188` plays it with a real ComfyUI (fresh, with the nodes of
`custom_nodes/`) and keeps the trace and the outcomes; the contract test plays it with the trace alone.
"""

import asyncio
import hashlib
import json
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.golden.recorder import RECORDINGS
from tests.golden.scenarios.catalogue import node, slow
from tests.golden.worker_trace import RecordingProxy, without_host
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.worker_jobs import ended, events_of
from tests.support.worker_process import WorkerProcess

FIRST_JOB = Path(__file__).parents[2] / "services/local/examples/first-job"
TRACE = RECORDINGS.parent / "worker"
OUTCOMES = TRACE / "outcomes.json"

_PICTURE = node("EmptyImage", width=8, height=6, batch_size=1, color=0x336699)
_TWO_OUTPUTS = {
    "1": _PICTURE,
    "2": node("SaveImage", images=["1", 0], filename_prefix="folder/kept"),
    "3": node("PreviewImage", images=["1", 0]),
}
JOBS: dict[str, dict[str, Any]] = {
    "refused": {"1": _PICTURE, "2": node("SaveImage", images=["9", 0], filename_prefix="never")},
    "first job": json.loads((FIRST_JOB / "workflow.json").read_text(encoding="utf-8")),
    "two outputs": _TWO_OUTPUTS,
    "two outputs again": _TWO_OUTPUTS,
    "photograph again": {
        "1": node("LoadImage", image="photo.jpg"),
        "2": node("ImageScale", image=["1", 0], upscale_method="area", width=12, height=8, crop="disabled"),
        "3": node("SaveImage", images=["2", 0], filename_prefix="small"),
    },
    "error": {"1": _PICTURE, "2": node("RehearsalError", message="broken on purpose", image=["1", 0])},
    "cancelled": slow(),
    "previews": slow(0.3, steps=3, preview=True, text="three steps"),
}
"""Name -> graph, in the order in which they are sent. The first is sent before any catalogue is known."""


PATIENT = {"LEASE_SECONDS": 600}
"""No lease may run out because the machine is slow; that is tested elsewhere."""


def job_id(name: str) -> str:
    """The same id in every run, so that a recorded answer fits."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"worker session: {name}"))


def play(comfyui: str, folder: Path) -> dict[str, Any]:
    """Run all jobs one after the other; returns what each came to."""
    with (
        RedisServer(folder / "redis") as redis,
        QueueProcess(folder / "queue", redis.url, settings=PATIENT) as queue,
        queue.client("alice") as alice,
    ):
        photo = (FIRST_JOB / "photo.jpg").read_bytes()
        assert alice.put("/api/inputs/photo.jpg", content=photo).status_code == 201
        first, *others = JOBS
        _submit(alice, first)
        settings = {"BACKEND": "url", "COMFYUI_URL": comfyui}
        with WorkerProcess(folder / "worker", queue.url, settings=settings) as worker:
            outcomes = {first: _outcome(alice, first)}
            for name in others:
                _submit(alice, name)
                if name == "cancelled":
                    wait_for(lambda: _works(alice), "the node to be at work")
                    assert alice.post(f"/api/jobs/{job_id(name)}/cancel").status_code == 200
                outcomes[name] = _outcome(alice, name)
            assert worker.stop() == 0
        return outcomes


def _submit(client: httpx.Client, name: str) -> None:
    answer = client.post("/api/jobs", json={"workflow": JOBS[name], "id": job_id(name)})
    assert answer.status_code == 202, answer.text


def _works(client: httpx.Client) -> bool:
    """Whether ComfyUI has said of the last job that a node is at work."""
    with client.stream("GET", "/api/events", params={"after": "0"}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line.removeprefix("data:"))
                if event["job"] == job_id("cancelled") and event["data"].get("message") == "executing":
                    return True
    return False


def _outcome(client: httpx.Client, name: str) -> dict[str, Any]:
    """The job's end as its owner sees it, without times and without progress (which may be overtaken by newer one)."""
    job = ended(client, job_id(name))
    events = [
        event["data"] if event["type"] == "job.progress" else {"type": event["type"]}
        for event in events_of(client, job_id(name))
    ]
    outputs = client.get(f"/api/jobs/{job_id(name)}/outputs").json()["outputs"]
    contents = [client.get(file["url"]).content for file in outputs]
    outcome = {
        "job": {key: job[key] for key in ("state", "attempt", "error", "executed", "cached_nodes")},
        "outputs": [
            {key: file[key] for key in ("node_id", "kind", "type", "subfolder", "filename")} for file in outputs
        ],
        "sha256": [hashlib.sha256(content).hexdigest() for content in contents],
        "events": [event for event in events if not _may_be_missed(event)],
    }
    told: dict[str, Any] = without_host(outcome)
    return told


def _may_be_missed(event: dict[str, Any]) -> bool:
    """Progress is overtaken by newer progress; what ComfyUI says after the end may come too late to be relayed."""
    kind = event.get("message")
    after_the_end = kind == "executing" and event["data"]["node"] is None
    return after_the_end or kind in ("progress", "progress_state", "execution_interrupted")


async def record(comfyui: str, watch: Callable[[dict[str, Any]], None]) -> None:
    """Play against a real ComfyUI behind a recording proxy; write the trace and the outcomes."""
    async with RecordingProxy(comfyui) as proxy:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = await asyncio.to_thread(play, proxy.url, Path(folder))
        proxy.trace.save(TRACE)
    watch(outcomes)


def write_outcomes(outcomes: dict[str, Any]) -> None:
    """Write the outcomes, one job a line."""
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(outcome, sort_keys=True)}" for name, outcome in outcomes.items()
    )
    OUTCOMES.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], write_outcomes))
