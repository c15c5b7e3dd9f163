"""How a run ended, read from ComfyUI's history and messages."""

from typing import Any

import pytest

from services.worker.comfyui.messages import NameMap
from services.worker.comfyui.outcome import Cure, Failed, Outcome, Seen, Succeeded, judge

NAMES = NameMap("comfyume/job", {})
PICTURE = {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}


def entry(status: str, *messages: tuple[str, dict[str, Any]], outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "outputs": outputs or {},
        "status": {"status_str": status, "completed": status == "success", "messages": [list(m) for m in messages]},
    }


def verdict(history: dict[str, Any] | None, seen: Seen | None = None, expected: tuple[str, ...] = ("2",)) -> Outcome:
    return judge(history, seen or Seen(), NAMES, expected)


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed)
    return outcome


def test_a_success_has_the_outputs_of_history_and_messages() -> None:
    seen = Seen(executed={"3": {"text": ["hello"]}})
    outcome = verdict(entry("success", ("execution_cached", {"nodes": ["1"]}), outputs={"2": PICTURE}), seen)
    assert outcome == Succeeded({"2": PICTURE, "3": {"text": ["hello"]}}, ["1"])


def test_outputs_that_stand_only_in_the_history_are_found() -> None:
    assert verdict(entry("success", outputs={"2": PICTURE})) == Succeeded({"2": PICTURE}, [])


def test_a_success_without_history_is_taken_from_the_messages() -> None:
    assert verdict(None, Seen(executed={"2": PICTURE}, succeeded=True)) == Succeeded({"2": PICTURE}, [])


def test_an_error_state_inside_the_history_is_a_failure_whatever_the_messages_said() -> None:
    error = ("execution_error", {"exception_type": "ValueError", "exception_message": "bad", "node_id": "2"})
    outcome = failed(verdict(entry("error", error, outputs={"2": PICTURE}), Seen(succeeded=True)))
    assert (outcome.error.type, outcome.error.message, outcome.retryable) == ("ValueError", "bad", False)


def test_an_error_state_without_a_message_is_a_failure_too() -> None:
    assert failed(verdict(entry("error"))).error.type == "execution_error"


def test_an_interrupt_that_nobody_here_asked_for_is_tried_again() -> None:
    outcome = failed(verdict(entry("error", ("execution_interrupted", {"node_id": "1"}))))
    assert (outcome.error.type, outcome.retryable) == ("interrupted", True)


def test_a_success_without_any_expected_file_is_a_lie() -> None:
    outcome = failed(verdict(entry("success")))
    assert (outcome.error.type, outcome.retryable, outcome.cure) == ("no_outputs", True, Cure.FREE)


def test_a_success_without_files_is_none_where_no_node_saves_files() -> None:
    assert isinstance(verdict(entry("success"), expected=()), Succeeded)


def test_a_blocked_branch_is_not_an_error_and_explains_missing_files() -> None:
    blocked = ("execution_error", {"exception_type": "ExecutionBlocked", "exception_message": "no input"})
    assert isinstance(verdict(entry("success", blocked)), Succeeded)


@pytest.mark.parametrize("kind", ["torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError"])
def test_out_of_memory_asks_for_a_freed_engine(kind: str) -> None:
    outcome = failed(verdict(entry("error", ("execution_error", {"exception_type": kind, "exception_message": "x"}))))
    assert (outcome.retryable, outcome.cure) == (False, Cure.FREE)
