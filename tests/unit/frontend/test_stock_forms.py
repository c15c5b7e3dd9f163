"""Jobs of the queue in the forms that stock ComfyUI's routes have."""

from typing import Any

from services.frontend.file_names import put_job_in_front, split_job
from services.frontend.stock_history import history_item
from services.frontend.stock_jobs import job_detail, job_summary

PICTURE = {"filename": "ComfyUI_00001_.png", "subfolder": "", "type": "output"}
BODY = {
    "workflow": {"9": {"class_type": "SaveImage", "inputs": {}}},
    "extra_data": {"extra_pnginfo": {"workflow": {"id": "w-1"}}, "auth_token_comfy_org": "secret"},
}


def job(state: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """A job as the queue manager shows it."""
    return {
        "id": "5f0c2d4e-0000-4000-8000-000000000001", "number": 12, "state": state, "created_at": 1000,
        "started_at": 2000, "ended_at": 5000, "client_id": "tab-1", "cached_nodes": ["4"], "error": None,
        "executed": {"9": {"images": [PICTURE]}},
    } | changes  # fmt: skip


def test_every_file_lies_below_its_jobs_own_folder() -> None:
    moved = put_job_in_front({"images": [PICTURE, PICTURE | {"subfolder": "a/b"}], "animated": [False]}, 12)
    assert [item["subfolder"] for item in moved["images"]] == ["job-12", "job-12/a/b"]
    assert moved["animated"] == [False]


def test_the_folder_leads_back_to_the_job() -> None:
    assert split_job("job-12/a/b") == (12, "a/b")
    assert split_job("job-12") == (12, "")
    for foreign in ("", "a", "job-0", "job-x/y", "jobs-1", "job-99999999999"):
        assert split_job(foreign) is None, foreign


def test_a_success_has_stocks_messages_and_outputs() -> None:
    item = history_item(job(), BODY, {"SaveImage"})
    assert item["status"]["status_str"] == "success"
    assert [name for name, _ in item["status"]["messages"]] == [
        "execution_start", "execution_cached", "execution_success",
    ]  # fmt: skip
    assert item["outputs"]["9"]["images"][0]["subfolder"] == "job-12"
    assert item["meta"]["9"]["real_node_id"] == "9"


def test_account_tokens_never_come_back() -> None:
    assert "secret" not in str(history_item(job(), BODY, {"SaveImage"}))
    assert "secret" not in str(job_detail(job(), BODY))


def test_history_numbers_rise_in_the_order_of_completion() -> None:
    early, late = job(number=5, ended_at=9000), job(number=4, ended_at=9500)
    assert history_item(early, BODY, {"SaveImage"})["prompt"][0] < history_item(late, BODY, {"SaveImage"})["prompt"][0]


def test_a_failure_names_the_node_and_carries_no_traceback() -> None:
    error = {"type": "ValueError", "message": "boom", "node_id": "7", "node_type": "KSampler"}
    name, message = history_item(job("failed", error=error), BODY, {"SaveImage"})["status"]["messages"][-1]
    assert name == "execution_error"
    assert (message["node_id"], message["exception_message"], message["traceback"]) == ("7", "boom", [])


def test_a_cancelled_job_is_stocks_interrupted_error() -> None:
    status = history_item(job("cancelled", executed={}), BODY, {"SaveImage"})["status"]
    assert (status["status_str"], status["messages"][-1][0]) == ("error", "execution_interrupted")


def test_the_saved_picture_is_the_preview_before_a_temporary_one_and_before_text() -> None:
    executed = {
        "1": {"text": ["hello"]},
        "2": {"images": [PICTURE | {"type": "temp", "filename": "t.png"}]},
        "3": {"images": [PICTURE], "animated": [False]},
    }
    summary = job_summary(job(executed=executed), "w-1")
    assert (summary["outputs_count"], summary["previewable_outputs_count"]) == (2, 2)
    assert (summary["preview_output"]["nodeId"], summary["preview_output"]["mediaType"]) == ("3", "images")


def test_text_alone_is_the_preview_and_counts_as_no_output() -> None:
    summary = job_summary(job(executed={"1": {"text": ["x" * 2000]}}), None)
    assert summary["outputs_count"] == 0
    assert len(summary["preview_output"]["content"]) == 1024
    assert summary["preview_output"]["truncated"] is True


def test_states_have_stocks_words() -> None:
    words = {state: job_summary(job(state), None)["status"] for state in ("queued", "running", "dead", "cancelled")}
    assert words == {"queued": "pending", "running": "in_progress", "dead": "failed", "cancelled": "cancelled"}


def test_an_open_job_gives_no_workflow_and_an_ended_one_does() -> None:
    assert "workflow" not in job_detail(job("running"), BODY)
    assert job_detail(job(), BODY)["workflow"]["prompt"] == BODY["workflow"]
