"""What the rehearsal engine refuses, and what it says of itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.rehearsal_engine import Client, Graph, engine, kinds, picture_graph
from tests.support.wait import wait_until


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    async with engine(tmp_path) as address:
        yield address


@pytest.fixture
async def client(base: str) -> AsyncIterator[Client]:
    async with Client(base) as connected:
        yield connected


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


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
        ({"prompt": picture_graph(), "extra_data": {"deep": nested(500)}}, "invalid_prompt"),
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
