"""The share of a workflow that is done, as the command line shows it."""

from services.cli.node_progress import NodeProgress

NODES = {"1": "LoadImage", "2": "KSampler", "3": "VAEDecode", "4": "SaveImage"}


def state(value: int, maximum: int, word: str = "running") -> dict[str, object]:
    """One node's entry in a progress_state message."""
    return {"value": value, "max": maximum, "state": word}


def test_nothing_is_done_before_the_first_message() -> None:
    progress = NodeProgress(NODES)
    assert (progress.share, progress.words) == (0.0, "")


def test_a_sampler_shows_its_steps_and_counts_for_its_part() -> None:
    progress = NodeProgress(NODES)
    progress.take("progress_state", {"nodes": {"1": state(1, 1, "finished"), "2": state(5, 20)}})
    assert progress.words == "KSampler 5/20"
    assert progress.share == (1 + 0.25) / 4


def test_cached_nodes_count_as_done() -> None:
    progress = NodeProgress(NODES)
    progress.take("execution_cached", {"nodes": ["1", "2", "77"]})
    assert progress.share == 0.5


def test_a_node_without_steps_shows_its_class_only() -> None:
    progress = NodeProgress(NODES)
    progress.take("executing", {"node": "3"})
    assert progress.words == "VAEDecode"


def test_a_job_that_starts_anew_begins_at_nothing() -> None:
    progress = NodeProgress(NODES)
    progress.take("executed", {"node": "1"})
    progress.take("execution_start", {})
    assert (progress.share, progress.words) == (0.0, "")


def test_messages_of_another_shape_change_nothing() -> None:
    progress = NodeProgress(NODES)
    for data in ({"nodes": None}, {"nodes": {"1": 7}}, {"nodes": {"1": state(1, 0)}}, {"node": None}, {}):
        progress.take("progress_state", data)
        progress.take("executing", data)
        progress.take("status", data)
    assert progress.share == 0.0


def test_a_workflow_with_unknown_nodes_has_no_share() -> None:
    progress = NodeProgress({})
    progress.take("executing", {"node": "9"})
    assert (progress.share, progress.words) == (0.0, "node 9")
