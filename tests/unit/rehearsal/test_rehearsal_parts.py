"""The parts behind the protocol: order, cache, queue, folders, interrupt."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.worker.rehearsal.cache import CachedResult, ResultCache, signatures
from services.worker.rehearsal.folders import Folders, OutsideFolder
from services.worker.rehearsal.graph import RunOrder, is_link
from services.worker.rehearsal.interrupt import Interrupt, InterruptedPrompt
from services.worker.rehearsal.node_call import call_node, gather_inputs
from services.worker.rehearsal.nodes.registry import NodeResult
from services.worker.rehearsal.picture_files import read_picture
from services.worker.rehearsal.prompt_queue import Graph, PromptQueue, QueueItem
from tests.support.rehearsal_nodes import Bench


def graph_of(**links: list[str]) -> Graph:
    """A graph from node id -> ids it takes its inputs from; capital letters are output nodes."""
    return {
        node_id: {"class_type": "N", "inputs": {f"i{n}": [source, 0] for n, source in enumerate(sources)}}
        for node_id, sources in links.items()
    }


def order_of(graph: Graph, outputs: list[str], cached: tuple[str, ...] = ()) -> list[str]:
    order = RunOrder(graph, lambda n: n in cached, lambda n: n.isupper(), lambda n, i: False)
    for output in outputs:
        order.add(output)
    taken: list[str] = []
    while (node_id := order.pick()) is not None:
        taken.append(node_id)
        order.done(node_id)
    return taken


def test_outputs_run_as_soon_as_they_can() -> None:
    graph = graph_of(a=[], b=["a"], c=["b"], d=["c"], S=["d"], P=["a"])
    assert order_of(graph, ["S", "P"]) == ["a", "P", "b", "c", "d", "S"]


def test_what_is_cached_or_not_needed_does_not_run() -> None:
    graph = graph_of(a=[], b=["a"], S=["b"], unused=["a"])
    assert order_of(graph, ["S"], cached=("b",)) == ["S"]


def test_nodes_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="cycle"):
        order_of(graph_of(a=["b"], b=["a"], S=["a"]), ["S"])


@pytest.mark.parametrize("value", [["1"], ["1", 0, 0], [1, 0], ["1", "0"], ["1", True], "1", None])
def test_only_an_id_with_a_number_is_a_link(value: Any) -> None:
    assert not is_link(value)
    assert is_link(["1", 0])


def signatures_of(graph: Graph, **fingerprints: Any) -> dict[str, str]:
    return signatures(graph, lambda n: fingerprints.get(n, False), lambda n: n.startswith("id"))


def test_signatures_depend_on_inputs_and_ancestors_but_not_on_ids() -> None:
    one = signatures_of({"a": {"class_type": "A", "inputs": {"x": 1}}, **graph_of(b=["a"])})
    two = signatures_of({"z": {"class_type": "A", "inputs": {"x": 1}}, **graph_of(y=["z"])})
    other = signatures_of({"a": {"class_type": "A", "inputs": {"x": 2}}, **graph_of(b=["a"])})
    assert (one["a"], one["b"]) == (two["z"], two["y"])
    assert one["a"] != other["a"]
    assert one["b"] != other["b"]


def test_a_changed_file_or_an_unknown_state_changes_all_that_follow() -> None:
    graph = graph_of(a=[], b=["a"])
    assert signatures_of(graph, a="hash 1")["b"] != signatures_of(graph, a="hash 2")["b"]
    assert signatures_of(graph, a=math.nan)["b"] != signatures_of(graph, a=math.nan)["b"]
    assert signatures_of(graph)["b"] == signatures_of(graph)["b"]


def test_nodes_that_ask_for_their_id_are_told_apart_by_it() -> None:
    found = signatures_of(graph_of(id1=[], id2=[]))
    assert found["id1"] != found["id2"]


def test_a_long_chain_and_a_cycle_have_signatures() -> None:
    chain = graph_of(**{f"n{i}": [f"n{i - 1}"] if i else [] for i in range(3000)})
    assert len(set(signatures_of(chain).values())) == 3000
    assert set(signatures_of(graph_of(a=["b"], b=["a"]))) == {"a", "b"}


def test_the_cache_lets_the_longest_unused_results_go() -> None:
    cache = ResultCache(limit_bytes=10_000)
    result = CachedResult([[np.zeros(1000, np.float32)]], None)
    for name in "abc":
        cache.put(name, result)
        cache.get("a")
    assert [name for name in "abc" if cache.get(name)] == ["a", "c"]
    cache.clear()
    assert cache.get("a") is None


def ready() -> None:
    """Nothing to prepare."""


def item(number: float, prompt_id: str) -> QueueItem:
    return QueueItem(number, prompt_id, {}, {}, [])


def test_prompts_run_by_number_and_the_history_is_bounded() -> None:
    changes: list[int] = []
    queue = PromptQueue(2, lambda: changes.append(queue.remaining()))
    for number, prompt_id in ((2, "c"), (0, "a"), (-1, "front"), (1, "b")):
        queue.put(item(number, prompt_id))
    assert changes == [1, 2, 3, 4]
    done = []
    while queue.remaining():
        taken = queue.take(ready)
        assert taken is not None
        done.append(taken.prompt_id)
        queue.finish(taken, {"outputs": {}, "status": {}, "meta": {}})
    assert done == ["front", "a", "b", "c"]
    assert list(queue.history()) == ["b", "c"]
    assert list(queue.history(max_items=1)) == ["c"]
    assert list(queue.history(max_items=1, offset=0)) == ["b"]
    assert list(queue.history(max_items=0)) == []
    assert queue.history_of("a") == {}


def test_a_waiting_prompt_is_deleted_and_a_running_one_is_not() -> None:
    queue = PromptQueue(10, lambda: None)
    queue.put(item(0, "a"))
    queue.put(item(1, "b"))
    queue.take(ready)
    hits: list[str] = []
    assert not queue.delete("a")
    assert queue.delete("b")
    assert queue.if_running("a", lambda: hits.append("a"))
    assert not queue.if_running("b", lambda: hits.append("b"))
    assert hits == ["a"]


def test_a_prompt_is_prepared_for_before_it_can_be_stopped() -> None:
    queue, interrupt = PromptQueue(10, lambda: None), Interrupt()
    interrupt.ask()
    queue.put(item(0, "a"))
    queue.take(interrupt.clear)
    interrupt.check()
    assert queue.if_running("a", interrupt.ask)
    with pytest.raises(InterruptedPrompt):
        interrupt.check()


def test_a_flag_wakes_the_one_who_waits_for_prompts() -> None:
    queue = PromptQueue(10, lambda: None)
    queue.set_flag("free_memory", True)
    assert queue.take(ready) is None
    assert queue.take_flags() == {"free_memory": True}
    assert queue.take_flags() == {}


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/passwd", "x\0.png", "link/x.png"])
def test_names_that_lead_out_of_the_input_folder_are_refused(tmp_path: Path, name: str) -> None:
    folders = Folders(tmp_path / "root")
    folders.prepare()
    (tmp_path / "root" / "input" / "link").symlink_to(tmp_path)
    with pytest.raises(OutsideFolder):
        folders.input_path(name)


def test_temp_is_empty_at_the_start_and_the_rest_stays(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.prepare()
    for kind in ("input", "output", "temp"):
        (tmp_path / kind / "f").touch()
    folders.prepare()
    assert sorted(p.parent.name for p in tmp_path.rglob("f")) == ["input", "output"]


def test_a_request_to_stop_is_used_up_by_being_honoured() -> None:
    interrupt = Interrupt()
    interrupt.ask()
    with pytest.raises(InterruptedPrompt):
        interrupt.wait(3600)
    interrupt.check()


@pytest.mark.parametrize(
    ("suffix", "mode", "options"),
    [("png", "L", {}), ("png", "I;16", {}), ("png", "P", {}), ("webp", "RGB", {"lossless": True}), ("bmp", "RGB", {})],
)
def test_pictures_of_all_kinds_are_read(tmp_path: Path, suffix: str, mode: str, options: dict[str, Any]) -> None:
    picture = Image.new("RGB", (40, 20), (255, 255, 255))
    shown = (
        picture.convert("L").convert("I").point(lambda v: v * 257).convert(mode)
        if mode == "I;16"
        else picture.convert(mode)
    )
    shown.save(tmp_path / f"p.{suffix}", **options)
    pixels, mask = read_picture(tmp_path / f"p.{suffix}")
    assert pixels.shape == (1, 20, 40, 3)
    np.testing.assert_allclose(pixels, 1, atol=0.01)
    np.testing.assert_allclose(mask, 0, atol=0.01)


def test_an_animated_webp_is_read_with_all_its_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (8, 8), (colour, 0, 0, 255)) for colour in (0, 255)]
    frames[0].save(tmp_path / "p.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert read_picture(tmp_path / "p.webp")[0][:, 0, 0, 0].tolist() == [0, 1]


def test_a_file_that_is_no_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_text("no picture")
    with pytest.raises(OSError, match="cannot identify"):
        read_picture(tmp_path / "p.png")


INFO: dict[str, Any] = {"input": {"required": {"a": ["INT"], "b": ["INT"]}}, "output_is_list": [False, True]}


def test_a_node_runs_once_for_each_item_and_the_shorter_list_repeats_its_last(tmp_path: Path) -> None:
    def add(run: object, *, a: int, b: int) -> NodeResult:
        return NodeResult((a + b, [a, b]), {"text": [str(a)]})

    called = call_node(add, Bench(tmp_path).node_run, {"a": [1, 2, 3], "b": [10]}, INFO)
    assert called.outputs == [[11, 12, 13], [1, 10, 2, 10, 3, 10]]
    assert called.ui == {"text": ["1", "2", "3"]}


def test_a_node_that_takes_lists_runs_once(tmp_path: Path) -> None:
    def count(run: object, *, a: list[int], b: list[int]) -> tuple[int]:
        return (len(a) + len(b),)

    info = INFO | {"is_input_list": True, "output_is_list": [False]}
    assert call_node(count, Bench(tmp_path).node_run, {"a": [1, 2, 3], "b": [10]}, info).outputs == [[4]]


def test_inputs_that_the_node_does_not_know_are_left_out() -> None:
    node = {"class_type": "N", "inputs": {"a": 1, "b": ["x", 0], "unknown": 2}}
    assert gather_inputs(node, INFO, lambda link: [7, 8]) == {"a": [1], "b": [7, 8]}
    assert gather_inputs(node, INFO, lambda link: None)["b"] == [None]
