"""The rehearsal engine over a real socket: what a client of ComfyUI 0.33.0 sees."""

import asyncio
import io
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.support.rehearsal_engine import Client, Graph, engine, kinds, of_kind, picture_graph
from tests.support.wait import wait_until


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    async with engine(tmp_path) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[Client]:
    async with Client(base) as connected:
        yield connected


def slow_graph(seconds: float = 3600.0, **more: Any) -> Graph:
    return {"1": {"class_type": "RehearsalSlow", "inputs": {"seconds": seconds, "steps": 2} | more}}


async def wait_for_start(client: Client) -> str:
    """Start a prompt that runs for an hour; its id once it runs."""
    prompt_id = await client.submit(slow_graph())
    await client.hear_until("executing", prompt_id)
    return prompt_id


# --- one prompt --------------------------------------------------------------------------------------------------


async def test_the_messages_of_a_prompt_come_in_comfyuis_order(client: Client) -> None:
    messages = await client.run(picture_graph())
    assert kinds(messages) == [
        "status",
        "status",
        "execution_start",
        "execution_cached",
        *["progress_state", "executing", "progress_state"] * 2,
        "progress_state",
        "executing",
        "executed",
        "progress_state",
        "execution_success",
        "status",
        "executing",
    ]
    assert [data["node"] for data in of_kind(messages, "executing")] == ["1", "2", "3", None]
    assert sorted(of_kind(messages, "progress_state")[-1]["nodes"]) == ["1", "2", "3"]
    assert of_kind(messages, "status")[-1] == {"status": {"exec_info": {"queue_remaining": 0}}}


async def test_the_history_holds_outputs_messages_and_the_graph(client: Client) -> None:
    prompt_id = await client.submit(picture_graph(), extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
    await client.hear_all(prompt_id)
    entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
    assert entry["outputs"] == {"3": {"images": [{"filename": "test_00001_.png", "subfolder": "", "type": "output"}]}}
    assert entry["status"]["status_str"] == "success"
    assert [m[0] for m in entry["status"]["messages"]] == ["execution_start", "execution_cached", "execution_success"]
    number, shown_id, graph, extra_data, outputs = entry["prompt"]
    assert (number, shown_id, graph, outputs) == (0, prompt_id, picture_graph(), ["3"])
    assert extra_data["client_id"] == client.client_id
    assert entry["meta"]["3"]["real_node_id"] == "3"


async def test_the_picture_is_exact_and_marked_as_a_rehearsal(client: Client) -> None:
    # 0x66, not 0x65, would be right if ComfyUI rounded; it cuts off.
    await client.run(picture_graph(0x336699))
    async with client.http.get("/view", params={"filename": "test_00001_.png"}) as answer:
        with Image.open(io.BytesIO(await answer.read())) as picture:
            assert picture.getpixel((0, 0)) == (0xCC, 0x99, 0x65)
            assert "rehearsal" in picture.info


async def test_the_same_graph_again_is_cached_and_names_the_earlier_file(client: Client) -> None:
    await client.run(picture_graph())
    again = await client.run(picture_graph())
    assert of_kind(again, "execution_cached")[0]["nodes"] == ["1", "2", "3"]
    assert of_kind(again, "executed")[0]["output"]["images"][0]["filename"] == "test_00001_.png"
    assert len(of_kind(again, "executing")) == 1
    other = await client.run(picture_graph(prefix="other"))
    assert of_kind(other, "execution_cached")[0]["nodes"] == ["1", "2"]
    await client.post("/free", {"free_memory": True})
    freed = await client.run(picture_graph())
    assert of_kind(freed, "execution_cached")[0]["nodes"] == []


async def test_a_changed_input_file_is_read_again(client: Client, tmp_path: Path) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "p.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    for colour in ("red", "blue"):
        Image.new("RGB", (4, 4), colour).save(tmp_path / "input" / "p.png")
        messages = await client.run(graph)
        assert of_kind(messages, "execution_cached")[0]["nodes"] == []


async def test_a_failing_node_is_told_with_its_inputs(client: Client) -> None:
    graph = picture_graph() | {
        "4": {"class_type": "RehearsalError", "inputs": {"message": "on purpose", "image": ["2", 0]}}
    }
    messages = await client.run(graph)
    error = of_kind(messages, "execution_error")[0]
    assert error["exception_message"] == "on purpose\n"
    assert error["exception_type"] == "RuntimeError"
    assert (error["node_id"], error["node_type"]) == ("4", "RehearsalError")
    assert error["current_inputs"]["message"] == ["on purpose"]
    assert error["current_inputs"]["image"][0].startswith("tensor(")
    assert error["traceback"]
    entry = (await client.get("/history"))[error["prompt_id"]]
    assert entry["status"] | {"messages": []} == {"status_str": "error", "completed": False, "messages": []}
    assert "execution_success" not in kinds(messages)


async def test_the_next_prompt_runs_after_a_failure(client: Client) -> None:
    await client.run({"1": {"class_type": "RehearsalError", "inputs": {"message": "x"}}})
    assert "execution_success" in kinds(await client.run(picture_graph()))


async def test_a_lie_succeeds_without_a_file(client: Client) -> None:
    messages = await client.run({"1": {"class_type": "RehearsalLie", "inputs": {}}})
    entry = of_kind(messages, "executed")[0]["output"]["images"][0]
    assert "execution_success" in kinds(messages)
    async with client.http.get("/view", params=entry) as answer:
        assert answer.status == 404


async def test_a_lazy_input_is_not_computed(client: Client) -> None:
    graph: Graph = {
        "1": {"class_type": "RehearsalError", "inputs": {"message": "must not run"}},
        "2": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "3": {"class_type": "ComfySwitchNode", "inputs": {"switch": True, "on_false": ["1", 0], "on_true": ["2", 0]}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }
    messages = await client.run(graph, partial_execution_targets=["4"])
    assert "execution_success" in kinds(messages)
    assert [data["node"] for data in of_kind(messages, "executing")] == ["3", "2", "3", "4", None]


# --- progress and previews ---------------------------------------------------------------------------------------


async def test_a_modern_client_gets_previews_with_metadata(client: Client) -> None:
    messages = await client.run(slow_graph(0, preview=True, text="hello"))
    assert kinds(messages).count("binary 4") == 2
    assert "binary 1" not in kinds(messages)
    text = next(m for m in messages if isinstance(m, bytes) and m[3] == 3)
    assert text[4:] == struct.pack(">I", 1) + b"1" + b"hello"
    frame = next(m for m in messages if isinstance(m, bytes) and m[3] == 4)
    length = struct.unpack(">I", frame[4:8])[0]
    assert b'"image_type": "image/jpeg"' in frame[8 : 8 + length]
    with Image.open(io.BytesIO(frame[8 + length :])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 64))
    at = kinds(messages).index("binary 4")
    assert kinds(messages)[at - 1 : at + 2] == ["progress_state", "binary 4", "progress"]


async def test_an_older_client_gets_older_previews(base: str) -> None:
    async with Client(base, modern=False) as client:
        messages = await client.run(slow_graph(0, preview=True))
    at = kinds(messages).index("binary 1")
    assert kinds(messages)[at - 2 : at] == ["progress_state", "progress"]
    frame = messages[at]
    assert isinstance(frame, bytes)
    assert frame[4:8] == struct.pack(">I", 1)
    assert "binary 4" not in kinds(messages)


@pytest.mark.parametrize(("method", "count"), [("none", 0), ("auto", 4), ("default", 4), ("taesd", 4)])
async def test_a_prompt_chooses_whether_samplers_show_previews(client: Client, method: str, count: int) -> None:
    graph: Graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5-pruned-emaonly-fp16.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "sea", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0], "seed": 1,
                "steps": 4, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    }  # fmt: skip
    messages = await client.run(graph, extra_data={"preview_method": method})
    assert kinds(messages).count("binary 4") == count
    assert {data["value"] for data in of_kind(messages, "progress")} >= {1, 4}


async def test_messages_go_to_the_client_that_asked_and_status_to_everybody(base: str) -> None:
    async with Client(base) as asking, Client(base) as other:
        await asking.run(picture_graph())
        heard = [await other.hear() for _ in range(3)]
        assert kinds(heard) == ["status"] * 3
        await other.post("/queue", {"clear": True})
        assert kinds([await other.hear()]) == ["status"]


async def test_a_client_that_comes_back_hears_which_node_runs(base: str, client: Client) -> None:
    prompt_id = await wait_for_start(client)
    async with Client(base, client_id=client.client_id, modern=False) as again:
        messages = await again.hear_until("executing")
        assert of_kind(messages, "executing") == [{"node": "1"}]
        await again.post("/interrupt", {"prompt_id": prompt_id})
        assert "execution_interrupted" in kinds(await again.hear_all(prompt_id))


# --- queue, interrupt, cancel ------------------------------------------------------------------------------------


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


# --- refusals ----------------------------------------------------------------------------------------------------


def replaced(node: str, **inputs: Any) -> Graph:
    graph = picture_graph()
    graph[node] = graph[node] | {"inputs": graph[node]["inputs"] | inputs}
    return graph


@pytest.mark.parametrize(
    ("graph", "node", "kind"),
    [
        (replaced("1", width=0), "1", "value_smaller_than_min"),
        (replaced("1", width=99999), "1", "value_bigger_than_max"),
        (replaced("1", width="wide"), "1", "invalid_input_type"),
        (replaced("2", image=["1"]), "2", "bad_linked_input"),
        (replaced("2", image=["3", 0]), "2", "dependency_cycle"),
        (picture_graph() | {"2": {"class_type": "ImageInvert", "inputs": {}}}, "2", "required_input_missing"),
        (
            picture_graph() | {"1": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}},
            "1",
            "custom_validation_failed",
        ),
        (
            picture_graph() | {"1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 8, "height": 8}}},
            "2",
            "return_type_mismatch",
        ),
        (
            picture_graph()
            | {
                "1": {"class_type": "LoadImageMask", "inputs": {"image": "gone.png", "channel": "cyan"}},
                "2": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 0]}},
            },
            "1",
            "value_not_in_list",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_graph_is_refused_node_by_node(client: Client, graph: Graph, node: str, kind: str) -> None:
    status, answer = await client.post("/prompt", {"prompt": graph})
    assert status == 400
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert kind in [error["type"] for error in answer["node_errors"][node]["errors"]]
    assert answer["node_errors"][node]["dependent_outputs"] == ["3"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "no_prompt"),
        ({"prompt": {}}, "prompt_no_outputs"),
        ({"prompt": {"1": {"class_type": "Unknown", "inputs": {}}}}, "missing_node_type"),
        ({"prompt": {"1": {"inputs": {}}}}, "missing_node_type"),
        ({"prompt": picture_graph(), "prompt_id": "not a uuid"}, "invalid_prompt_id"),
        ({"prompt": picture_graph(), "prompt_id": "ABCDEF00-0000-4000-8000-000000000000"}, "invalid_prompt_id"),
        ({"prompt": picture_graph(), "number": "first"}, "invalid_prompt"),
        ({"prompt": picture_graph(), "partial_execution_targets": ["1"]}, "prompt_no_outputs"),
        ({"prompt": []}, "invalid_prompt"),
        ({"prompt": {"1": "EmptyImage"}}, "invalid_prompt"),
        ({"prompt": {"1": {"class_type": "EmptyImage", "inputs": []}}}, "invalid_prompt"),
        ({"prompt": {"1": {"class_type": ["EmptyImage"], "inputs": {}}}}, "invalid_prompt"),
    ],
)
async def test_what_is_no_prompt_is_refused(client: Client, body: dict[str, Any], kind: str) -> None:
    status, answer = await client.post("/prompt", body)
    assert (status, answer["error"]["type"]) == (400, kind)


async def test_an_own_id_is_kept_and_one_wrong_output_does_not_stop_the_others(client: Client) -> None:
    graph = picture_graph() | {"4": {"class_type": "PreviewImage", "inputs": {}}}
    own = "0f0f0f0f-0000-4000-8000-000000000001"
    status, answer = await client.post("/prompt", {"prompt": graph, "prompt_id": own, "client_id": client.client_id})
    assert (status, answer["prompt_id"], list(answer["node_errors"])) == (200, own, ["4"])
    assert "execution_success" in kinds(await client.hear_all(own))


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/free"])
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json_is_refused_with_a_sentence(client: Client, path: str, body: bytes) -> None:
    async with client.http.post(path, data=body) as answer:
        assert answer.status == 400
        assert "JSON" in await answer.text()


async def test_credentials_are_neither_shown_nor_kept(client: Client) -> None:
    secret = {"auth_token_comfy_org": "secret-1", "api_key_comfy_org": "secret-2"}
    prompt_id = await client.submit(picture_graph(), extra_data=secret)
    await client.hear_all(prompt_id)
    for path in ("/history", "/queue", "/api/jobs", f"/api/jobs/{prompt_id}"):
        assert "secret" not in str(await client.get(path))


# --- what the engine is ------------------------------------------------------------------------------------------


async def test_it_says_plainly_that_it_is_a_rehearsal(client: Client) -> None:
    stats = await client.get("/system_stats")
    assert stats["system"]["rehearsal"] is True
    assert stats["system"]["comfyui_version"] == "0.33.0"
    assert "rehearsal" in stats["devices"][0]["name"]
    async with client.http.get("/") as answer:
        assert "Rehearsal engine" in await answer.text()


async def test_every_route_is_there_with_and_without_api(client: Client) -> None:
    paths = ["prompt", "queue", "history", "object_info", "system_stats", "features", "models", "models/checkpoints"]
    paths += ["embeddings", "extensions", "experiment/models", "experiment/models/loras", "users", "settings"]
    for path in paths:
        assert type(await client.get(f"/{path}")) is type(await client.get(f"/api/{path}"))
    async with client.http.get("/models/unknown") as answer:
        assert answer.status == 404


async def test_the_catalogue_is_given_whole_and_by_node(client: Client) -> None:
    whole = await client.get("/object_info")
    one = await client.get("/object_info/KSampler")
    assert one == {"KSampler": whole["KSampler"]}
    assert await client.get("/object_info/Unknown") == {}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_pages_of_other_sites_are_refused(client: Client, headers: dict[str, str], status: int) -> None:
    async with client.http.get("/prompt", headers=headers) as answer:
        assert answer.status == status


async def test_an_odd_first_message_costs_the_features_and_nothing_else(base: str) -> None:
    async with aiohttp.ClientSession(base) as http, http.ws_connect("/ws?clientId=odd") as socket:
        await socket.send_str("no json")
        await socket.send_json(["a", "list"])
        await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        async with Client(base, modern=False) as client:
            await client.run(picture_graph())
        heard = [(await asyncio.wait_for(socket.receive_json(), 60))["type"] for _ in range(4)]
        assert heard == ["status"] * 4


async def test_a_prompt_without_a_client_runs_too(client: Client) -> None:
    status, answer = await client.post("/prompt", {"prompt": picture_graph()})
    assert status == 200

    async def ended() -> Any:
        return await client.get(f"/history/{answer['prompt_id']}")

    entry = await wait_until(ended, "the prompt in the history")
    assert entry[answer["prompt_id"]]["status"]["completed"]


async def test_a_chain_of_a_thousand_nodes_runs(client: Client) -> None:
    graph = picture_graph()
    last = "1"
    for number in range(1000):
        graph[f"i{number}"] = {"class_type": "ImageInvert", "inputs": {"image": [last, 0]}}
        last = f"i{number}"
    graph["3"]["inputs"]["images"] = [last, 0]
    status, answer = await client.post("/prompt", {"prompt": graph})
    assert status == 200, answer

    async def ended() -> Any:
        return await client.get(f"/history/{answer['prompt_id']}")

    entry = await wait_until(ended, "the chain to end")
    assert entry[answer["prompt_id"]]["status"]["completed"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"partial_execution_targets": 5}, 400),
        ({"partial_execution_targets": [["3"]]}, 400),
        ({"number": float("nan")}, 400),
        ({"client_id": ["a list"]}, 200),
        ({"extra_data": "a text"}, 200),
        ({"extra_data": {"extra_pnginfo": ["a list"], "client_id": {}}}, 200),
    ],
)
async def test_fields_of_the_wrong_kind_are_refused_or_left_out(
    client: Client, more: dict[str, Any], status: int
) -> None:
    answered, answer = await client.post("/prompt", {"prompt": picture_graph()} | more)
    assert answered == status, answer
    assert "execution_success" in kinds(await client.run(picture_graph(1)))
    assert (await client.get("/api/jobs"))["jobs"]
