"""The queue manager's jobs in the forms that ComfyUI's `/queue` and `/history` have.

Pure translation, no I/O. Forms: facts of ComfyUI 0.33.0, kept by the golden recordings.
"""

from collections.abc import Collection
from typing import Any

from services.frontend.file_names import put_job_in_front

ENDED_STATES = "succeeded,failed,cancelled,dead"
OPEN_STATES = "queued,running"

SENSITIVE_EXTRA_DATA = ("auth_token_comfy_org", "api_key_comfy_org")
"""Account tokens that a stock client may send along; they never leave this process."""

Job = dict[str, Any]
"""A job as the queue manager's `GET /api/jobs` shows it."""


def output_nodes(job: Job) -> dict[str, Any]:
    """ComfyUI's `outputs`: each output node's UI output, files below the job's own folder."""
    executed: dict[str, Any] = job.get("executed") or {}
    return {node: put_job_in_front(output, job["number"]) for node, output in executed.items()}


def extra_data_of(job: Job, body: dict[str, Any]) -> dict[str, Any]:
    """The `extra_data` as stock keeps it: with the client id and the time, without account tokens."""
    sent = body.get("extra_data") or {}
    kept = {key: value for key, value in sent.items() if key not in SENSITIVE_EXTRA_DATA}
    if job.get("client_id"):
        kept["client_id"] = job["client_id"]
    return kept | {"create_time": job["created_at"]}


def prompt_tuple(job: Job, body: dict[str, Any], number: float, output_classes: Collection[str]) -> list[Any]:
    """ComfyUI's five-element form of a submitted job: number, id, graph, extra data, output node ids.

    The outputs are those that gave a result, or all nodes of `output_classes` where none did (yet).
    """
    graph = body.get("workflow") or {}
    targets = sorted(output_nodes(job)) or [
        node_id for node_id, node in graph.items() if node.get("class_type") in output_classes
    ]
    return [number, job["id"], graph, extra_data_of(job, body), targets]


def ever_started(job: Job) -> bool:
    """Whether a job ran or failed; one that was cancelled while it waited has no place in ComfyUI's history."""
    return bool(job.get("started_at")) or job["state"] != "cancelled"


def status_of(job: Job) -> dict[str, Any]:
    """ComfyUI's `status` of an ended job, with the messages that stock would have kept."""
    if not ever_started(job):
        return {"status_str": "error", "completed": False, "messages": []}
    prompt_id, started, ended = job["id"], job.get("started_at") or job["created_at"], job.get("ended_at")
    messages: list[list[Any]] = [
        ["execution_start", {"prompt_id": prompt_id, "timestamp": started}],
        ["execution_cached", {"nodes": job.get("cached_nodes") or [], "prompt_id": prompt_id, "timestamp": started}],
    ]
    if job["state"] == "succeeded":
        messages.append(["execution_success", {"prompt_id": prompt_id, "timestamp": ended}])
        return {"status_str": "success", "completed": True, "messages": messages}
    if job["state"] == "cancelled":
        messages.append(["execution_interrupted", interrupted(job)])
    else:
        messages.append(["execution_error", failed(job)])
    return {"status_str": "error", "completed": False, "messages": messages}


def interrupted(job: Job) -> dict[str, Any]:
    """The `execution_interrupted` message of a cancelled job."""
    return {
        "prompt_id": job["id"], "node_id": None, "node_type": None, "executed": sorted(job.get("executed") or {}),
        "timestamp": job.get("ended_at"),
    }  # fmt: skip


def failed(job: Job) -> dict[str, Any]:
    """The `execution_error` message of a failed or dead job; its traceback stays with the worker."""
    error = job.get("error") or {}
    return {
        "prompt_id": job["id"], "node_id": error.get("node_id"), "node_type": error.get("node_type"),
        "executed": sorted(job.get("executed") or {}), "exception_message": error.get("message", ""),
        "exception_type": error.get("type", ""), "traceback": [], "current_inputs": {}, "current_outputs": [],
        "timestamp": job.get("ended_at"),
    }  # fmt: skip


def history_item(job: Job, body: dict[str, Any], output_classes: Collection[str]) -> dict[str, Any]:
    """One entry of `/history`.

    Its number is the time of its end: the older stock page shows only entries whose number is above the highest that
    it knows, so numbers must rise in the order of completion, also with several workers.
    """
    outputs = output_nodes(job)
    meta = {
        node: {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node} for node in outputs
    }  # fmt: skip
    return {
        "prompt": prompt_tuple(job, body, job.get("ended_at") or job["number"], output_classes),
        "outputs": outputs,
        "status": status_of(job),
        "meta": meta,
    }
