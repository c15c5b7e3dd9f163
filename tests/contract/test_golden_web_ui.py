"""A participant's address answers as the real ComfyUI did: the recordings, played through web UI, queue and worker.

What may differ, and why, is listed here and nowhere else. That the pixels of every node are right is the rehearsal
engine's own test; here a handful of them stands for all.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.golden.driver import Recording, Session, load
from tests.golden.recorder import RECORDINGS
from tests.golden.scenarios import SCENARIOS
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.web_ui import WebUiProcess
from tests.support.worker_process import WorkerProcess

PLAYED_NODES = {
    "node_invert",
    "node_repeat",
    "node_batch_of_two_sizes",
    "node_load_mask_alpha",
    "load_photo_turned_jpg",
    "load_no_picture_png",
    "load_from_subfolder",
}
"""The scenarios of single nodes that are played here; all of them are played against the engine itself."""

OWN_WORDS = {"tooltip", "output_tooltips", "description", "search_aliases", "essentials_category", "rehearsal"}
"""Left out on both sides: ComfyUI's help texts are not repeated, and a rehearsed picture says that it is one."""

OWN_FLAGS = {"supports_v4", "max_upload_size"}
"""The workshop has no node manager in the page, and a larger limit of uploads."""

OWN_MESSAGES = {"notification", "workshop"}
"""Messages of our own: place and reason while a job waits, for the page and for our extension of it."""

NOT_COUNTED = {"status"}
"""How many `status` messages arrive differs: a change of several jobs at once is told job by job."""

PROGRESS = {"progress", "progress_state"}
"""Each tells the whole state again, so the worker sends the newest of a burst: of those between two other messages only
the last of each node is compared."""

NOT_KEPT = {"current_inputs", "current_outputs", "executed"}
"""Of a failure the queue keeps node, type and message; the rest is in the live message, and is compared there."""

NAME_OF_THE_NODE = {"node_id", "node_type"}
"""Of an interrupt the queue keeps who and when; at which node it was is in the live message, and is compared there."""

NO_TRACEBACKS = "traceback"
"""No traceback leaves the server in a refusal or an entry of the history; a live error keeps frames without paths."""

JOB_FOLDER = re.compile(r"job-\d+(/|%2F)?")
"""Every job has a folder of its own, so that files of two jobs, workers or participants never meet."""

JOB_MARK = "comfyume_job"
PRIVATE_NAME = re.compile(r"comfyume/(<job \d+>|[0-9a-f]{32})/")
"""The graph inside a picture is the one that the worker ran: file names with the job's or the content's own prefix, and
the job's id where a node has no plain prefix. A file in a folder is named there by its content alone."""

NAMED_BY_CONTENT = {"load_from_subfolder"}

MORE_IS_HEARD = {
    "without_socket": "other",
    "server_names_the_client": "viewer",
    "interrupted_broadcast": "viewer",
    "second_socket": "second",
    "other_client_hears_status_only": "stranger",
}
"""A tab that ran nothing itself is shown its owner's runs, and one that comes back is shown its run again (stock shows
a single node name, or nothing): stock's kinds of messages arrive in stock's order, with more between them."""

RUNS_AGAIN = {"cached_rerun", "changed_file_is_not_cached", "freed_rerun"}
"""Each job's files have names of their own, so a saving node is never answered from another job's cache; and /free is
not obeyed, because the workers are everybody's."""

RESULTS = {"status", "feature_flags", "execution_start", "executed", "execution_success"}
"""What is compared of the jobs that run again."""

NUMBERS_OF_ITS_OWN = {"queue_and_order"}
"""`front` and a negative `number` put a job before the owner's others, but its number stays the owner's count."""

CONVERTED_WHEN_IT_RUNS = {"values_are_converted"}
"""The queue delivers a graph as it was sent; ComfyUI converts its values when it runs it. History shows what was sent.
"""

MODELS_THAT_ARE_NOT_THERE = {"refused_model_not_in_list"}
"""A fresh ComfyUI has no models at all; a rehearsal worker offers those of the templates."""

CANCELLED_IS_KEPT = ("cancel_while_waiting", "GET /api/jobs/<job 3>")
"""A job that was cancelled while it waited is no part of the history, as in stock, but the newer routes still show it.
"""

NOT_PLAYED = {"same_id_twice", "prefix_leaves_the_folder"}
"""Other behaviour, with tests of its own below."""

CHOSEN = [
    name
    for name in SCENARIOS
    if name not in NOT_PLAYED and (not name.startswith(("node_", "load_")) or name in PLAYED_NODES | {"node_error"})
]


class Visitor(Session):
    """Plays a scenario at a web UI: asks for an output where the history says that it lies."""

    async def get(self, path: str, *, headers: dict[str, str] | None = None, only_shape: bool = False) -> Any:
        """GET, and record it under the address that the scenario used."""
        answer = await super().get(await self._placed(path), headers=headers, only_shape=only_shape)
        self.recording.steps[-1]["do"] = self._normalise(f"GET {path}")
        return answer

    async def _placed(self, path: str) -> str:
        address, _, query = path.partition("?")
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        if address != "/view" or asked.get("type", "output") != "output":
            return path
        for entry in (await self.look("/history?max_items=1")).values():
            for output in entry["outputs"].values():
                for image in output["images"]:
                    if image["filename"] == asked.get("filename"):
                        return f"/view?{urlencode(asked | {'subfolder': image['subfolder']})}"
        return path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A participant's web UI over a real queue with a rehearsal worker that does not wait."""
    folder = tmp_path_factory.mktemp("room")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        queue = stack.enter_context(QueueProcess(folder / "queue", redis.url))
        quick = {"REHEARSAL_STEP_SECONDS": "0"}
        stack.enter_context(WorkerProcess(folder / "worker", queue.url, environment=quick))
        yield stack.enter_context(WebUiProcess(folder / "ui", queue.url, "alice")).url


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
async def test_a_participants_address_sounds_like_the_real_comfyui(address: str, name: str) -> None:
    real = load(RECORDINGS, name)
    async with Visitor(address, name) as visitor:
        await SCENARIOS[name](visitor)
        ours = visitor.recording

    assert answers(ours, real, name) == answers(real, real, name)
    heard, expected = messages(ours, name), messages(real, name)
    assert heard.keys() == expected.keys()
    for socket, told in expected.items():
        if MORE_IS_HEARD.get(name) == socket:
            assert is_subsequence([message["type"] for message in told], [message["type"] for message in heard[socket]])
        else:
            assert heard[socket] == told
    assert all(frame in frames(real) for frame in frames(ours)), "previews are live only, but what arrives is stock's"
    assert [picture.tobytes() for picture in ours.pictures] == [picture.tobytes() for picture in real.pictures]


@pytest.mark.slow
async def test_a_second_prompt_with_the_same_id_is_the_same_job(address: str) -> None:
    """In stock it runs again and takes the first one's place; here a repeated submit is harmless, and counts once."""
    async with Visitor(address, "same_id_twice") as visitor:
        viewer = await visitor.viewer()
        graph = {"1": {"class_type": "RehearsalSlow", "inputs": {"seconds": 0.01, "steps": 1}}}
        for _ in range(2):
            await visitor.prompt(graph)
        await viewer.until_over(visitor.job())
        await visitor.prompt(graph)

        assert (await visitor.look("/prompt"))["exec_info"]["queue_remaining"] == 0
        assert list(await visitor.look(f"/history/{visitor.job()}")) == [visitor.job()]


@pytest.mark.slow
async def test_a_prefix_that_leaves_the_folder_fails_before_anything_runs(address: str) -> None:
    """Stock's own check speaks of the server's folders, when the node runs; the worker's names the node."""
    async with Visitor(address, "prefix_leaves_the_folder") as visitor:
        await SCENARIOS[visitor.name](visitor)
        told = messages(visitor.recording, visitor.name)["viewer"]

    assert [message["type"] for message in told[-2:]] == ["execution_error", "executing"]
    assert "filename_prefix of node 2" in told[-2]["data"]["exception_message"]


def answers(recording: Recording, real: Recording, name: str) -> list[Any]:
    """What was asked over HTTP and answered, without the differences that are accepted above."""
    asked = [step for step in recording.steps if "heard" not in step]
    expected = [step for step in real.steps if "heard" not in step]
    return [_answer(step, like, name) for step, like in zip(asked, expected, strict=True)]


def _answer(step: dict[str, Any], real: dict[str, Any], name: str) -> Any:
    step = _plain(step, _ignored(name) | {NO_TRACEBACKS})
    if (name, step.get("do")) == CANCELLED_IS_KEPT:
        return step["do"]
    if step.get("do") == "GET /system_stats":  # nothing about the machines leaves the server; the form is stock's
        return sorted(step["body"]), sorted(step["body"]["system"])
    if real.get("status", 0) >= 400 and real["type"] != "application/json":
        # Stock refuses with an empty page, or stumbles (500); we refuse with a sentence.
        return step["do"], {500: 400}.get(step["status"], step["status"])
    if name in NUMBERS_OF_ITS_OWN and "sorted" in step:
        step["sorted"]["queue_pending"].sort(key=lambda item: item[1])
        return [item[1:] for item in step["sorted"]["queue_pending"]]
    return _history(step, name)


def _history(value: Any, name: str) -> Any:
    """Numbers in the history rise in the order of the ends; of failures only what the queue keeps is compared."""
    match value:
        case {"exception_message": _}:
            return {key: entry for key, entry in value.items() if key not in NOT_KEPT}
        case ["execution_interrupted", dict(about)]:
            return [value[0], {key: entry for key, entry in about.items() if key not in NAME_OF_THE_NODE}]
        case ["execution_cached", dict()] if name in RUNS_AGAIN:
            return value[:1]
        case {"prompt": [_, prompt_id, graph, extra_data, outputs]}:
            kept = [prompt_id, {} if name in CONVERTED_WHEN_IT_RUNS else graph, extra_data, outputs]
            return {"prompt": kept} | {key: _history(entry, name) for key, entry in value.items() if key != "prompt"}
        case dict():
            return {key: _history(entry, name) for key, entry in value.items()}
        case list():
            return [_history(entry, name) for entry in value]
    return value


def messages(recording: Recording, name: str) -> dict[str, list[Any]]:
    """What each socket was told, without previews, and with bursts of progress taken together."""
    told: dict[str, list[Any]] = {}
    for step in recording.steps:
        for message in step.get("heard", []):
            kind, told_here = message["type"], told.setdefault(step["ws"], [])
            greeting = kind in NOT_COUNTED and "sid" in message["data"]
            if not kind.startswith("binary") and kind not in OWN_MESSAGES and (kind not in NOT_COUNTED or greeting):
                told_here.append(_plain(message, _ignored(name)))
    if name in RUNS_AGAIN:
        told = {
            socket: [_first(message) for message in heard if message["type"] in RESULTS]
            for socket, heard in told.items()
        }
    return {socket: _without_bursts(heard) for socket, heard in told.items()}


def _first(message: dict[str, Any]) -> Any:
    """The message with its files named as the first of their folder."""
    return json.loads(re.sub(r"_\d{5}_", "_00001_", json.dumps(message)))


def _without_bursts(heard: list[Any]) -> list[Any]:
    calm: list[Any] = []
    burst: dict[tuple[str, Any], Any] = {}
    for message in [*heard, None]:
        if message is not None and message["type"] in PROGRESS:
            burst[message["type"], message["data"].get("node")] = message
            continue
        calm += [burst[key] for key in sorted(burst, key=str)]
        burst = {}
        if message is not None:
            calm.append(message)
    return calm


def frames(recording: Recording) -> list[Any]:
    """The binary messages."""
    heard = [message for step in recording.steps for message in step.get("heard", [])]
    return [message for message in heard if message["type"].startswith("binary")]


def is_subsequence(wanted: list[Any], found: list[Any]) -> bool:
    """Whether all that is wanted was found, in its order."""
    rest = iter(found)
    return all(entry in rest for entry in wanted)


def _ignored(name: str) -> set[str]:
    ignored = OWN_WORDS | OWN_FLAGS | {JOB_MARK}
    if name in NAMED_BY_CONTENT:
        ignored |= {"text"}
    if name in MODELS_THAT_ARE_NOT_THERE:
        ignored |= {"details", "input_config"}
    if name in NUMBERS_OF_ITS_OWN:
        ignored |= {"number"}
    return ignored


def _plain(value: Any, ignored: set[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _message_of_an_exception(entry) if key == "exception_message" else _plain(entry, ignored)
            for key, entry in value.items()
            if key not in ignored
        }
    if isinstance(value, list):
        return [_plain(entry, ignored) for entry in value]
    if isinstance(value, str):
        return PRIVATE_NAME.sub("", JOB_FOLDER.sub("", value))
    return value


def _message_of_an_exception(text: str) -> str:
    """Without the paths of the server, which the worker takes out, and without stock's line end."""
    return re.sub(r"'[^']*'", "'<file>'", text).strip()
