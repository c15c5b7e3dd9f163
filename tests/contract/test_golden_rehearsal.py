"""The rehearsal engine answers as the real ComfyUI did: every recording, message by message and pixel by pixel.

What may differ, and why, is listed here and nowhere else.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.golden.driver import Recording, load
from tests.golden.recorder import RECORDINGS, record
from tests.golden.scenarios import SCENARIOS
from tests.support.ports import free_port
from tests.support.wait import wait_for

ROOT = Path(__file__).parents[2]

OWN_WORDS = {"tooltip", "output_tooltips", "description", "search_aliases", "essentials_category", "rehearsal"}
"""Keys left out on both sides: ComfyUI's help texts are not repeated, and a rehearsed picture says that it is one."""

NOT_COMFYUIS_TRACEBACK = {
    "refused_inputs_list",
    "refused_inputs_missing",
    "refused_node_is_text",
    "refused_prompt_is_list",
    "refused_prompt_is_null",
    "wrong_requests",
}
"""ComfyUI answers these with status 500 or a Python exception's text; the engine says 400 in words."""

SOFT_EDGES = {"node_blur": 1, "node_sharpen": 1}
"""Largest difference of a colour value: a sum of many rounded products comes out in another order."""

MODELS_THAT_ARE_NOT_THERE = {"refused_model_not_in_list"}
"""A fresh ComfyUI has no models at all; the engine offers those of the templates. The kind of refusal must be equal."""

OWN_EXCEPTION = {"prefix_leaves_the_folder"}
"""ComfyUI's text names the server's folders; the engine has an exception and a sentence of its own."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a rehearsal engine with the nodes that fail on purpose and without waiting times."""
    folder, port = tmp_path_factory.mktemp("engine"), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REHEARSAL_")} | {
        "REHEARSAL_PORT": str(port),
        "REHEARSAL_DATA_DIR": str(folder / "data"),
        "REHEARSAL_FAULT_NODES": "true",
        "REHEARSAL_LOAD_SECONDS": "0",
        "REHEARSAL_STEP_SECONDS": "0",
    }
    log = folder / "engine.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.worker.rehearsal"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
    try:
        wait_for(lambda: process.poll() is not None or "ready" in log.read_text(), "the rehearsal engine to be ready")
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in NOT_COMFYUIS_TRACEBACK])
async def test_a_scenario_sounds_like_the_real_comfyui(engine: str, name: str) -> None:
    real, rehearsed = load(RECORDINGS, name), await record(engine, name)

    assert comparable(rehearsed, name) == comparable(real, name)
    assert len(rehearsed.pictures) == len(real.pictures)
    for made, expected in zip(rehearsed.pictures, real.pictures, strict=True):
        assert made.size == expected.size
        difference = np.abs(np.asarray(made, np.int16) - np.asarray(expected, np.int16))
        assert difference.max() <= SOFT_EDGES.get(name, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NOT_COMFYUIS_TRACEBACK))
async def test_where_comfyui_stumbles_the_engine_still_refuses_in_words(engine: str, name: str) -> None:
    real, rehearsed = load(RECORDINGS, name), await record(engine, name)

    for heard, expected in zip(rehearsed.steps, real.steps, strict=True):
        assert heard["do"] == expected["do"]
        assert heard["status"] in ({400} if expected["status"] == 500 else {expected["status"]})


@pytest.mark.slow
async def test_an_engine_says_that_it_is_none_of_the_real_ones(engine: str) -> None:
    async with aiohttp.ClientSession(engine) as session, session.get("/system_stats") as answer:
        stats = await answer.json()

    assert stats["system"]["comfyui_version"].startswith("0.33.0")
    assert "rehearsal" in str(stats).lower()


def test_every_recording_has_a_scenario_and_every_scenario_a_recording() -> None:
    recorded = {file.stem for file in RECORDINGS.glob("*.json")}

    assert recorded == set(SCENARIOS)


def comparable(recording: Recording, name: str) -> list[Any]:
    """The steps without the differences that are accepted above."""
    dropped = OWN_WORDS | ({"exception_message", "exception_type"} if name in OWN_EXCEPTION else set())
    if name in MODELS_THAT_ARE_NOT_THERE:
        dropped |= {"details", "input_config"}
    return [_without(step, dropped) for step in recording.steps]


def _without(value: Any, dropped: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(entry, dropped) for key, entry in value.items() if key not in dropped}
    return [_without(entry, dropped) for entry in value] if isinstance(value, list) else value
