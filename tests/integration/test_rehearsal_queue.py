"""Queue, history and jobs of the rehearsal engine over a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rehearsal_engine import (
    Client,
    engine,
    kinds,
    of_kind,
    picture_graph,
    slow_graph,
    wait_for_start,
)
from tests.support.wait import wait_until


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    async with engine(tmp_path) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[Client]:
    async with Client(base) as connected:
        yield connected


async def test_an_interrupt_stops_the_running_prompt(client: Client) -> None:
    prompt_id = await wait_for_start(client)
    assert (await client.post("/interrupt", {"prompt_id": "another"}))[0] == 200
    queue = await client.get("/queue")
    assert [entry[1] for entry in queue["queue_running"]] == [prompt_id]
    await client.post("/interrupt", {"prompt_id": prompt_id})
    messages = await client.hear_all(prompt_id)
    assert of_kind(messages, "execution_interrupted")[0]["node_type"] == "RehearsalSlow"
    entry = (await client.get("/history"))[prompt_id]
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


async def test_an_interrupt_without_a_body_stops_whatever_runs_and_not_what_comes_next(client: Client) -> None:
    prompt_id = await wait_for_start(client)
    async with client.http.post("/interrupt") as answer:
        assert answer.status == 200
    await client.hear_all(prompt_id)
    async with client.http.post("/interrupt") as answer:
        assert answer.status == 200
    assert "execution_success" in kinds(await client.run(picture_graph()))


async def test_a_cancel_is_honoured_however_early_it_comes(client: Client) -> None:
    async def idle() -> bool:
        return bool((await client.get("/prompt"))["exec_info"]["queue_remaining"] == 0)

    for _ in range(50):
        prompt_id = await client.submit(slow_graph())
        assert (await client.post(f"/api/jobs/{prompt_id}/cancel"))[1] == {"cancelled": True}
        await wait_until(idle, "the cancelled prompt to end")


async def test_prompts_wait_in_order_and_can_be_put_in_front(client: Client) -> None:
    running = await wait_for_start(client)
    second = await client.submit(picture_graph(2))
    front = await client.submit(picture_graph(3), front=True)
    own_number = await client.submit(picture_graph(4), number=0.5)
    waiting = [entry[:2] for entry in (await client.get("/queue"))["queue_pending"]]
    assert sorted(waiting) == [[-2, front], [0.5, own_number], [1, second]]
    await client.post("/queue", {"delete": [second, "unknown"]})
    assert (await client.get("/prompt"))["exec_info"]["queue_remaining"] == 3
    await client.post("/interrupt", {})
    for prompt_id in (running, front, own_number):
        await client.hear_all(prompt_id)
    assert list(await client.get("/history")) == [running, front, own_number]


async def test_jobs_are_listed_with_status_and_preview(client: Client) -> None:
    done = await client.submit(picture_graph(), extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
    await client.hear_all(done)
    failed = await client.submit({"1": {"class_type": "RehearsalError", "inputs": {"message": "x"}}})
    await client.hear_all(failed)
    running = await wait_for_start(client)
    waiting = await client.submit(picture_graph(2))
    jobs = {job["id"]: job for job in (await client.get("/api/jobs"))["jobs"]}
    statuses = {done: "completed", failed: "failed", running: "in_progress", waiting: "pending"}
    assert {job_id: job["status"] for job_id, job in jobs.items()} == statuses
    assert jobs[done]["preview_output"]["nodeId"] == "3"
    assert jobs[done]["outputs_count"] == 1
    assert jobs[failed]["execution_error"]["exception_type"] == "RuntimeError"
    only = await client.get("/api/jobs", workflow_id="w")
    assert [job["id"] for job in only["jobs"]] == [done]
    page = await client.get("/api/jobs", status="completed,failed", limit=1, offset=1, sort_order="asc")
    assert [job["id"] for job in page["jobs"]] == [failed]
    assert page["pagination"] == {"offset": 1, "limit": 1, "total": 2, "has_more": False}
    detail = await client.get(f"/api/jobs/{done}")
    assert detail["workflow"]["prompt"] == picture_graph()
    assert (await client.post(f"/api/jobs/{waiting}/cancel"))[1] == {"cancelled": True}
    assert (await client.post(f"/api/jobs/{waiting}/cancel"))[1] == {"cancelled": False}
    assert (await client.post("/api/jobs/cancel", {"job_ids": [running, done]}))[1] == {"cancelled": True}
    await client.hear_all(running)
    assert (await client.get(f"/api/jobs/{running}"))["status"] == "cancelled"


@pytest.mark.parametrize("query", ["status=lost", "sort_by=name", "sort_order=up", "limit=0", "limit=x", "offset=x"])
async def test_a_bad_question_for_jobs_is_answered_with_a_sentence(client: Client, query: str) -> None:
    async with client.http.get(f"/api/jobs?{query}") as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


async def test_the_history_is_bounded_and_can_be_cleared(tmp_path: Path) -> None:
    async with engine(tmp_path, history_length=2) as base, Client(base) as client:
        ids = []
        for colour in range(3):
            ids.append(await client.submit(picture_graph(colour)))
            await client.hear_all(ids[-1])
        assert list(await client.get("/history")) == ids[1:]
        assert list(await client.get("/api/history", max_items=1)) == ids[2:]
        await client.post("/history", {"delete": [ids[1]]})
        assert list(await client.get("/history")) == ids[2:]
        await client.post("/history", {"clear": True})
        assert await client.get("/history") == {}
