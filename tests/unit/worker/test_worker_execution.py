"""One run in a ComfyUI that does not behave: what the worker makes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from services.domain.job import Lease
from services.worker.artifacts.graph import node_kinds, prepare
from services.worker.comfyui.backend import Engine, EngineNotReady, EngineRefused, make_engine
from services.worker.comfyui.client import FileName
from services.worker.comfyui.execution import Execution, clear_leftovers
from services.worker.comfyui.outcome import Cure, Failed, Outcome, Stopped, Succeeded
from services.worker.comfyui.websocket import greets
from services.worker.settings import WorkerSettings
from tests.support.comfyui_stub import CATALOGUE, ComfyUIStub, Run, Script, end_when_interrupted, hang, succeed
from tests.support.wait import wait_until

JOB = "11111111-2222-4333-8444-555555555555"
NODES = {"1": {"class_type": "SaveImage", "inputs": {"images": [], "filename_prefix": "x"}}}


class Bench:
    """One engine, and one execution with what it relayed."""

    def __init__(self, stub: ComfyUIStub, engine: Engine) -> None:
        self.stub = stub
        self.engine = engine
        self.messages: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self.outputs: list[tuple[str, Any]] = []
        lease = Lease(job_id=JOB, token="t", participant="alice", attempt=1, number=1, expires_at=0, lease_seconds=30)
        body = json.dumps({"workflow": NODES}).encode()
        graph = prepare(body, lease, node_kinds(CATALOGUE), "comfyume-gpu-1-abc")
        self.execution = Execution(
            engine,
            graph,
            on_message=self.messages.append,
            on_frame=lambda _key, frame: self.frames.append(frame),
            on_output=lambda node, output: self.outputs.append((node, output)),
        )

    async def run(self) -> Outcome:
        async with asyncio.timeout(90):
            return await self.execution.run()

    async def failure(self) -> tuple[str, bool, Cure]:
        outcome = await self.run()
        assert isinstance(outcome, Failed), outcome
        return outcome.error.type, outcome.retryable, outcome.cure

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages]


@asynccontextmanager
async def bench(tmp_path: Path, script: Script = succeed, demanded: str = "", **settings: Any) -> AsyncIterator[Bench]:
    async with ComfyUIStub() as stub:
        stub.script = script
        stub.token = demanded
        chosen = {"hang_seconds": 60, "away_seconds": 0.5, "interrupt_seconds": 1, **settings}
        values = WorkerSettings(
            name="gpu-1", token="t", backend="url", comfyui_url=stub.url, data_dir=tmp_path, **chosen
        )
        engine = make_engine(values)
        await engine.ensure_ready()
        yield Bench(stub, engine)
        await engine.stop()


async def test_a_run_that_goes_well_relays_its_messages_in_order(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        outcome = await on.run()
        assert isinstance(outcome, Succeeded)
        assert on.kinds() == [
            "execution_start",
            "execution_cached",
            "executing",
            "executed",
            "execution_success",
            "executing",
        ]
        assert on.messages[3]["data"]["output"]["images"][0]["subfolder"] == ""
        assert on.stub.first_messages[-1]["data"] == {"supports_preview_metadata": True}


async def test_a_rejected_workflow_fails_for_good_with_comfyuis_sentence(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        complaint = {"type": "value_not_in_list", "message": "Value not in list", "details": "ckpt_name: 'x'"}
        on.stub.rejection = {
            "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
            "node_errors": {"4": {"class_type": "CheckpointLoaderSimple", "errors": [complaint]}},
        }
        outcome = await on.run()
    assert isinstance(outcome, Failed)
    assert not outcome.retryable
    assert outcome.error.message == (
        "Prompt outputs failed validation: node 4 (CheckpointLoaderSimple): Value not in list: ckpt_name: 'x'"
    )


async def test_success_without_files_is_a_lie(tmp_path: Path) -> None:
    async def lie(run: Run) -> None:
        await run.send("execution_success")
        await run.end("success")

    async with bench(tmp_path, lie) as on:
        assert await on.failure() == ("no_outputs", True, Cure.FREE)


async def test_a_success_message_over_an_error_in_the_history_is_an_error(tmp_path: Path) -> None:
    async def lie(run: Run) -> None:
        await run.send("execution_success")
        run.messages.append(["execution_error", {"exception_type": "KeyError", "exception_message": "seed"}])
        await run.end("error")

    async with bench(tmp_path, lie) as on:
        assert await on.failure() == ("KeyError", False, Cure.NONE)


async def test_a_hung_run_is_interrupted_and_a_comfyui_that_ignores_it_is_to_be_restarted(tmp_path: Path) -> None:
    async with bench(tmp_path, hang, hang_seconds=0.5, interrupt_seconds=0.5) as on:
        assert await on.failure() == ("hung", True, Cure.RESTART)
        assert on.stub.called("interrupt")


async def test_a_hung_run_that_yields_to_the_interrupt_needs_no_restart(tmp_path: Path) -> None:
    async with bench(tmp_path, end_when_interrupted, hang_seconds=0.5, interrupt_seconds=30) as on:
        assert await on.failure() == ("hung", True, Cure.NONE)


async def test_a_run_that_waits_behind_another_prompt_is_not_hung(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def wait_behind(run: Run) -> None:
        foreign = Run(run.stub, "foreign", {}, "somebody")
        run.stub.pending[run.id] = run.client_id
        del run.stub.running[run.id]
        run.stub.running["foreign"] = foreign
        await asked.wait()
        run.stub.running = {run.id: run}
        run.stub.pending.clear()
        await succeed(run)

    async with bench(tmp_path, wait_behind, hang_seconds=0.4) as on:
        running = asyncio.create_task(on.run())
        await asyncio.wait([running], timeout=2)  # five times the limit
        assert not running.done()
        asked.set()
        assert isinstance(await running, Succeeded)


@pytest.mark.slow
async def test_a_slow_run_goes_on_as_long_as_progress_arrives(tmp_path: Path) -> None:
    async def crawl(run: Run) -> None:
        for step in range(30):
            await run.send("progress", value=step, max=30, node="1")
            await asyncio.sleep(0.4)
        await succeed(run)

    async with bench(tmp_path, crawl, hang_seconds=8) as on:  # the run takes 12 s
        assert isinstance(await on.run(), Succeeded)


async def test_a_lost_websocket_is_opened_again_and_the_run_goes_on(tmp_path: Path) -> None:
    async def drop_and_succeed(run: Run) -> None:
        await run.send("execution_start")
        await run.stub.drop_sockets()
        await wait_until(lambda: run.client_id in run.stub.sockets, "the worker to come back")
        await succeed(run)

    async with bench(tmp_path, drop_and_succeed) as on:
        assert isinstance(await on.run(), Succeeded)
        assert on.kinds()[-2:] == ["execution_success", "executing"]


async def test_an_end_that_fell_into_a_gap_of_the_websocket_is_found_in_the_history(tmp_path: Path) -> None:
    async def end_unheard(run: Run) -> None:
        await run.stub.drop_sockets()
        await run.end("success", {"1": {"images": [run.stub.save("comfyume/x/x", b"1")]}})

    async with bench(tmp_path, end_unheard) as on:
        assert isinstance(await on.run(), Succeeded)


async def test_a_comfyui_that_was_started_anew_and_forgot_the_job_is_noticed(tmp_path: Path) -> None:
    async def forget(run: Run) -> None:
        run.stub.running.clear()
        await run.stub.drop_sockets()

    async with bench(tmp_path, forget) as on:
        assert await on.failure() == ("engine_lost", True, Cure.NONE)


@pytest.mark.slow
async def test_a_comfyui_that_stops_answering_is_given_up_after_a_while(tmp_path: Path) -> None:
    async with bench(tmp_path, hang, hang_seconds=20) as on:
        running = asyncio.create_task(on.failure())
        await wait_until(lambda: on.messages, "the run to begin")
        await on.stub.__aexit__(None, None, None)
        assert await running == ("engine_away", True, Cure.RESTART)


async def test_an_interrupt_by_somebody_else_is_tried_again(tmp_path: Path) -> None:
    async with bench(tmp_path, end_when_interrupted) as on:
        running = asyncio.create_task(on.failure())
        await wait_until(lambda: on.messages, "the run to begin")
        on.stub.running[JOB].interrupted.set()
        assert await running == ("interrupted", True, Cure.NONE)


async def test_a_stop_interrupts_this_prompt_only_and_is_verified(tmp_path: Path) -> None:
    async with bench(tmp_path, end_when_interrupted, interrupt_seconds=60) as on:
        running = asyncio.create_task(on.run())
        await wait_until(lambda: on.messages, "the run to begin")
        on.execution.stop("cancelled")
        assert await running == Stopped("cancelled", verified=True)
        assert set(on.stub.called("interrupt")) == set(on.stub.called("delete")) == {JOB}
        assert "execution_interrupted" in on.kinds()


async def test_an_interrupt_that_comes_too_early_is_repeated(tmp_path: Path) -> None:
    async def deaf_at_first(run: Run) -> None:
        await run.send("execution_start")
        await run.interrupted.wait()
        run.interrupted.clear()  # as ComfyUI does when it begins a prompt
        await end_when_interrupted(run)

    async with bench(tmp_path, deaf_at_first, interrupt_seconds=60) as on:
        running = asyncio.create_task(on.run())
        await wait_until(lambda: on.messages, "the run to begin")
        on.execution.stop("cancelled")
        assert await running == Stopped("cancelled", verified=True)


async def test_a_stop_that_comfyui_ignores_is_told_as_not_verified(tmp_path: Path) -> None:
    async with bench(tmp_path, hang, interrupt_seconds=0.5) as on:
        running = asyncio.create_task(on.run())
        await wait_until(lambda: on.messages, "the run to begin")
        on.execution.stop("preempted")
        assert await running == Stopped("preempted", verified=False)


async def test_previews_reach_the_relay_byte_for_byte(tmp_path: Path) -> None:
    metadata = json.dumps({"prompt_id": JOB, "node_id": "1"}).encode()
    frame = b"\0\0\0\4" + len(metadata).to_bytes(4, "big") + metadata + b"\xff\xd8jpeg"

    async def show(run: Run) -> None:
        await run.send("execution_start")
        await run.stub.send_frame(run.client_id, frame)
        await succeed(run)

    async with bench(tmp_path, show) as on:
        await on.run()
        assert on.frames == [frame]


async def test_prompts_of_an_earlier_life_are_stopped_and_those_of_others_are_not(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        stub = on.stub
        stub.pending = {"stale": "comfyume-gpu-1-old", "foreign": "comfyume-gpu-10-x", JOB: "whoever"}
        assert await clear_leftovers(on.engine, "comfyume-gpu-1-", JOB)
        assert set(stub.called("interrupt")) == {"stale", JOB}
        assert stub.pending == {"foreign": "comfyume-gpu-10-x"}


@pytest.mark.parametrize("version", ["0.27.9", "0.3.64", "", "unknown"])
async def test_a_comfyui_below_the_floor_is_refused(tmp_path: Path, version: str) -> None:
    async with ComfyUIStub() as stub:
        stub.version = version
        engine = make_engine(
            WorkerSettings(name="gpu-1", token="t", backend="url", comfyui_url=stub.url, data_dir=tmp_path)
        )
        with pytest.raises(EngineRefused, match=r"0\.28\.0"):
            await engine.ensure_ready()
        await engine.stop()


async def test_a_comfyui_that_demands_a_token_gets_it_with_every_request_and_over_the_socket(tmp_path: Path) -> None:
    async with bench(tmp_path, demanded="s3cret", comfyui_token="s3cret") as on:
        assert isinstance(await on.run(), Succeeded)
        assert on.outputs, "messages came over the socket"
        name = FileName("picture_00001_.png", "", "output")
        on.stub.files["output", "", name.filename] = b"a picture"
        async with on.engine.client.view(name) as answer:
            assert (answer.status_code, await answer.aread()) == (200, b"a picture")


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_without_the_demanded_token_the_setting_is_named_and_the_token_is_not(
    tmp_path: Path, given: str | None
) -> None:
    with pytest.raises(EngineNotReady, match="WORKER_COMFYUI_TOKEN") as refused:
        async with bench(tmp_path, demanded="s3cret", comfyui_token=given):
            pass
    assert "wrong" not in str(refused.value)


async def test_a_token_is_not_carried_to_where_a_redirect_leads(tmp_path: Path) -> None:
    carried: list[str | None] = []

    async def elsewhere(request: web.BaseRequest) -> web.Response:
        carried.append(request.headers.get("Authorization"))
        return web.Response(status=404)

    async def away(request: web.BaseRequest) -> web.Response:
        raise web.HTTPFound(f"ws://127.0.0.1:{other.port}{request.path_qs}")

    async with RawTestServer(elsewhere) as other, RawTestServer(away) as door:
        headers = {"Authorization": "Bearer s3cret"}
        assert not await greets(str(door.make_url("/")).rstrip("/"), "probe", headers)
    assert carried == []


async def test_an_address_without_comfyui_is_not_ready(tmp_path: Path) -> None:
    settings = WorkerSettings(
        name="gpu-1", token="t", backend="url", comfyui_url="http://127.0.0.1:9", data_dir=tmp_path
    )
    engine = make_engine(settings)
    with pytest.raises(EngineNotReady, match="WORKER_COMFYUI_URL"):
        await engine.ensure_ready()
    await engine.stop()


async def test_a_prompt_of_an_earlier_life_that_cannot_be_stopped_is_told(tmp_path: Path) -> None:
    async with bench(tmp_path, interrupt_seconds=0.3) as on:
        on.stub.running["stale"] = Run(on.stub, "stale", {}, "comfyume-gpu-1-old")
        assert not await clear_leftovers(on.engine, "comfyume-gpu-1-")
