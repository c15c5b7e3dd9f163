"""The rehearsal engine over a real socket: what a client of ComfyUI 0.33.0 hears of one prompt."""

import io
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.rehearsal_engine import (
    Client,
    Graph,
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


async def test_what_shows_something_on_the_way_does_so_again_when_it_is_not_needed(client: Client) -> None:
    region = {"x": 0, "y": 0, "width": 2, "height": 2}
    graph = picture_graph()
    graph["2"] = {"class_type": "ImageCropV2", "inputs": {"image": ["1", 0], "crop_region": region}}
    first = of_kind(await client.run(graph), "executed")
    again = of_kind(await client.run(graph), "executed")
    assert [shown["node"] for shown in first] == ["2", "3"]
    assert [shown["node"] for shown in again] == ["3", "2"]
    assert again[1]["output"] == first[0]["output"]


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
