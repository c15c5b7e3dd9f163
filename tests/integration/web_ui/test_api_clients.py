"""Programs that use ComfyUI's interface as its example scripts do: a participant's address serves them, too.

Each client here is the shortest one that does its job, with the HTTP and WebSocket calls of a stock client only.
"""

import asyncio
import json
import struct
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.web_ui.conftest import Room
from tests.support.comfyui_stub import CATALOGUE, ComfyUIStub, Run
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import LIMIT_SECONDS, wait_for
from tests.support.web_ui import WebUiProcess, picture_graph
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.slow


def pictures_of(web_ui: WebUiProcess, graph: dict[str, Any]) -> dict[str, list[bytes]]:
    """What a script does that waits for its images: node id -> the files that the node made."""
    client_id = str(uuid.uuid4())
    address = f"{web_ui.url.replace('http', 'ws', 1)}/ws?clientId={client_id}"
    with connect(address, max_size=None, open_timeout=60) as socket, web_ui.client() as http:
        answer = http.post("/prompt", json={"prompt": graph, "client_id": client_id}).json()
        prompt_id = answer["prompt_id"]
        while not _is_over(socket.recv(timeout=LIMIT_SECONDS), prompt_id):
            pass
        outputs = http.get(f"/history/{prompt_id}").json()[prompt_id]["outputs"]
        return {node: [_file(http, image) for image in output.get("images", [])] for node, output in outputs.items()}


def _is_over(message: str | bytes, prompt_id: str) -> bool:
    if isinstance(message, bytes):
        return False
    read = json.loads(message)
    return bool(read["type"] == "executing" and read["data"] == {"node": None, "prompt_id": prompt_id})


def _file(http: httpx.Client, image: dict[str, str]) -> bytes:
    asked = {name: image[name] for name in ("filename", "subfolder", "type")}
    return http.get(f"/view?{urlencode(asked)}").raise_for_status().content


def test_a_script_waits_for_its_images_and_fetches_them(room: Room) -> None:
    found = pictures_of(room.alice, picture_graph(0x13579B, prefix="script"))

    assert list(found) == ["2"]
    assert [content[:4] for content in found["2"]] == [b"\x89PNG"]


def test_a_script_that_sends_the_same_graph_again_gets_the_new_jobs_file(room: Room) -> None:
    """Whatever the worker has cached: a file of the first job would be gone when that job is deleted."""
    first = pictures_of(room.alice, picture_graph(0x2468AC, prefix="again"))
    second = pictures_of(room.alice, picture_graph(0x2468AC, prefix="again"))

    assert [len(files) for files in (first["2"], second["2"])] == [1, 1]


def test_a_script_that_only_polls_the_history_sees_its_job_there_when_it_has_ended(room: Room) -> None:
    with room.bob.client() as http:
        prompt_id = http.post("/prompt", json={"prompt": picture_graph(0x97531F)}).json()["prompt_id"]
        wait_for(lambda: prompt_id in http.get(f"/history/{prompt_id}").json(), "the job to be in the history")
        entry = http.get(f"/history/{prompt_id}").json()[prompt_id]

    assert entry["status"]["completed"] is True
    assert entry["outputs"]["2"]["images"]


def test_a_script_uploads_a_picture_and_works_on_it(room: Room) -> None:
    source = pictures_of(room.alice, picture_graph(0xFEDCBA, side=16))["2"][0]
    with room.alice.client() as http:
        stored = http.post("/upload/image", files={"image": ("script.png", source)}, data={"overwrite": "true"}).json()
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": stored["name"]}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }

    assert [content[:4] for content in pictures_of(room.alice, graph)["3"]] == [b"\x89PNG"]


PICTURES = [bytes([number]) * 2_000 for number in range(8)]
SENT_OVER_THE_SOCKET = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "big.safetensors"}},
    "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
}
SAVE_IMAGE_WEBSOCKET = {"input": {"required": {"images": ["MODEL"]}}, "output": [], "output_node": True}


async def send_pictures(run: Run) -> None:
    """What ComfyUI sends when a SaveImageWebsocket runs: its pictures look like previews, but for being PNG."""
    await run.send("execution_start")
    for node in run.graph:
        await run.send("executing", node=node)
    about = {"node_id": "2", "display_node_id": "2", "prompt_id": run.id, "image_type": "image/png"}
    head = json.dumps(about).encode()
    for number, content in enumerate(PICTURES):
        await run.stub.send_frame(run.client_id, struct.pack(">II", 4, len(head)) + head + content)
        await run.send("progress", node="2", value=number, max=len(PICTURES))
    await run.send("execution_success")
    await run.end()


def received_from(web_ui: WebUiProcess, graph: dict[str, Any], node: str) -> list[bytes]:
    """What a script does that takes a node's pictures from the socket: frames while that node is executing."""
    client_id, found, current = str(uuid.uuid4()), list[bytes](), None
    address = f"{web_ui.url.replace('http', 'ws', 1)}/ws?clientId={client_id}"
    with connect(address, max_size=None, open_timeout=60) as socket, web_ui.client() as http:
        prompt_id = http.post("/prompt", json={"prompt": graph, "client_id": client_id}).json()["prompt_id"]
        while not _is_over(message := socket.recv(timeout=LIMIT_SECONDS), prompt_id):
            if isinstance(message, bytes):
                found += [message[8:]] if current == node else []
            elif (read := json.loads(message))["type"] == "executing":
                current = read["data"]["node"]
    return found


async def test_a_script_takes_all_its_pictures_in_order_from_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "SaveImageWebsocket", SAVE_IMAGE_WEBSOCKET)
    async with ComfyUIStub() as stub:
        stub.script = send_pictures
        with ExitStack() as stack:

            def received() -> list[bytes]:
                redis = stack.enter_context(RedisServer(tmp_path / "redis"))
                queue = stack.enter_context(QueueProcess(tmp_path / "queue", redis.url))
                engine = {"BACKEND": "url", "COMFYUI_URL": stub.url}
                stack.enter_context(WorkerProcess(tmp_path / "worker", queue.url, settings=engine))
                web_ui = stack.enter_context(WebUiProcess(tmp_path / "ui", queue.url, "alice"))
                return received_from(web_ui, SENT_OVER_THE_SOCKET, "2")

            found = await asyncio.to_thread(received)

    assert found == PICTURES
