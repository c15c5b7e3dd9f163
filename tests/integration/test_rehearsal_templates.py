"""The graphs of ComfyUI's own templates (prompts and sizes changed) run to their end on the rehearsal engine."""

import io
import json
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.support.rehearsal_engine import Client, Graph, engine, kinds, of_kind

GRAPHS = Path(__file__).parents[1] / "support" / "template_graphs"
NAMES = sorted(path.stem for path in GRAPHS.glob("*.json"))


def template(name: str) -> Graph:
    """One graph as it is kept."""
    graph: Graph = json.loads((GRAPHS / f"{name}.json").read_text())
    return graph


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_a_template_runs_to_its_end(tmp_path: Path, name: str) -> None:
    graph = template(name)
    async with engine(tmp_path) as base, Client(base) as client:
        Image.new("RGB", (320, 200), "teal").save(tmp_path / "input" / "picture.png")
        messages = await client.run(graph)
        assert "execution_success" in kinds(messages), of_kind(messages, "execution_error")
        assert "binary 4" in kinds(messages)
        files = [e for shown in of_kind(messages, "executed") for e in (shown["output"] or {}).get("images", [])]
        assert files
        for entry in files:
            async with client.http.get("/view", params=entry) as answer:
                check_file(entry["filename"], await answer.read())


def check_file(name: str, content: bytes) -> None:
    """The file is what its name says and calls itself a rehearsal."""
    if name.endswith(".mp4"):
        with av.open(io.BytesIO(content), "r") as container:
            assert container.metadata["rehearsal"]
            assert len(list(container.decode(video=0))) == 25
            assert container.streams.audio
    else:
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.info["rehearsal"]
            assert len(picture.getcolors(2**24) or []) > 100


async def test_another_seed_gives_another_picture_and_the_same_seed_the_same(tmp_path: Path) -> None:
    graph = template("sd15_default")
    pictures: list[bytes] = []
    async with engine(tmp_path) as base, Client(base) as client:
        for seed in (1, 2, 1):
            graph["3"]["inputs"]["seed"] = seed
            graph["9"]["inputs"]["filename_prefix"] = f"picture{len(pictures)}"
            entry = of_kind(await client.run(graph), "executed")[0]["output"]["images"][0]
            async with client.http.get("/view", params={**entry, "channel": "rgb"}) as answer:
                pictures.append(await answer.read())
            await client.post("/free", {"free_memory": True})
    assert pictures[0] == pictures[2]
    assert pictures[0] != pictures[1]
