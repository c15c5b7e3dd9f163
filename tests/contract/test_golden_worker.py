"""The worker against a real ComfyUI's recorded answers: it sends what was taken, and its jobs come to the same ends."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.golden.worker_session import FIRST_JOB, JOBS, OUTCOMES, TRACE, job_id, play
from tests.golden.worker_trace import Replay, Trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CATALOGUE: dict[str, Any] = json.loads((TRACE.parent / "catalogue.json").read_text(encoding="utf-8"))
EXPECTED: dict[str, Any] = json.loads(OUTCOMES.read_text(encoding="utf-8"))


@dataclass
class Played:
    """A replayed session: what the jobs came to, and what the worker asked ComfyUI."""

    outcomes: dict[str, Any]
    trace: Trace
    replay: Replay


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The session once, through a real queue manager and a real worker process."""
    trace, folder = Trace.load(TRACE), tmp_path_factory.mktemp("session")
    replay = Replay(trace, CATALOGUE)
    yield Played(asyncio.run(_session(replay, folder)), trace, replay)


async def _session(replay: Replay, folder: Path) -> dict[str, Any]:
    async with replay:
        return await asyncio.to_thread(play, replay.url, folder)


@pytest.mark.parametrize("name", list(JOBS))
def test_a_job_comes_to_the_same_end_as_with_the_real_comfyui(played: Played, name: str) -> None:
    assert played.outcomes[name] == EXPECTED[name]


def test_the_worker_sends_the_prompts_that_the_real_comfyui_took(played: Played) -> None:
    assert played.replay.prompts == [prompt["send"] for prompt in played.trace.prompts]
    assert played.replay.unexpected == []


def test_an_input_that_comfyui_has_already_is_not_uploaded_again(played: Played) -> None:
    assert played.replay.uploads == played.trace.uploads == ["photo.jpg"]


def test_the_first_job_came_back_from_the_real_comfyui_as_the_expected_picture() -> None:
    trace = Trace.load(TRACE)
    [path] = [path for path in trace.views if job_id("first job") in path]
    [name] = trace.views[path]
    with Image.open(TRACE / str(name)) as made, Image.open(FIRST_JOB / "expected.png") as expected:
        assert np.array_equal(np.asarray(made), np.asarray(expected))
