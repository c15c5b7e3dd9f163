"""What the console's page is told: what the room view needs, and nothing of anybody's work."""

from typing import Any

import pytest

from services.admin.panels import ERROR_CHARACTERS, Progress, progress_of, room_panel, workers_panel
from services.domain.job import Job

ROOM: dict[str, Any] = {
    "discipline": "fifo",
    "paused": False,
    "draining": False,
    "waiting": 1,
    "running": 1,
    "participants": [{"name": "anna", "waiting": 1, "running": 1, "ended_today": 3}],
}


def job(number: int, state: str, **more: Any) -> Job:
    return Job.model_validate(
        {"id": f"job-{number}", "number": number, "participant": "anna", "state": state, "created_at": number, **more}
    )


def test_what_runs_comes_first_then_what_waits_in_the_order_of_arrival() -> None:
    live = [job(3, "queued"), job(2, "running", started_at=9), job(1, "queued")]
    assert [row.number for row in room_panel(ROOM, live, []).jobs] == [2, 1, 3]


def test_nothing_of_a_job_but_its_name_and_state_is_shown() -> None:
    output = {
        "node_id": "9",
        "kind": "images",
        "type": "output",
        "subfolder": "",
        "filename": "hers.png",
        "size": 1,
        "sha256": "0",
    }
    text = room_panel(
        ROOM, [], [job(1, "failed", outputs=[output], executed={"9": {"text": "her prompt"}}, client_id="her tab")]
    ).model_dump_json()
    assert not any(word in text for word in ("hers.png", "her prompt", "her tab"))


def test_an_error_is_cut_to_a_length_that_fits_a_table() -> None:
    error = {"type": "ValueError", "message": "x" * 10_000}
    (row,) = room_panel(ROOM, [], [job(1, "failed", error=error)]).failed
    assert row.error is not None
    assert (row.error[:12], len(row.error)) == ("ValueError: ", ERROR_CHARACTERS)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"message": "progress", "data": {"node": "3", "value": 4, "max": 20}}, Progress(node="3", value=4, max=20)),
        (
            {"message": "progress_state", "data": {"nodes": {"1": {"state": "finished", "value": 1, "max": 1},
                                                             "3": {"state": "running", "value": 2, "max": 8}}}},
            Progress(node="3", value=2, max=8),
        ),
        ({"message": "progress_state", "data": {"nodes": {}}}, None),
        ({"message": "progress", "data": {"node": "3", "value": "4", "max": 20}}, None),
        ({"message": "progress", "data": {"node": "3", "value": 4, "max": 0}}, None),
        ({"message": "executed", "data": {"node": "3"}}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_progress_is_that_of_the_node_that_runs(message: dict[str, Any], shown: Progress | None) -> None:
    assert progress_of(message) == shown


def test_a_worker_without_a_gpu_has_no_memory() -> None:
    gpu = {"name": "H200", "free": 30, "total": 140}
    workers = [
        {"name": "worker-2", "state": "busy", "last_seen": 5, "job": "job-1", "gpu": gpu},
        {"name": "worker-1", "state": "idle", "last_seen": 5, "gpu": None},
    ]
    without, with_gpu = workers_panel(workers).workers
    assert (without.name, without.memory_total, without.gpu) == ("worker-1", 0, "")
    assert (with_gpu.gpu, with_gpu.memory_free, with_gpu.memory_total) == ("H200", 30, 140)
