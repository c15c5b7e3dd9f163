"""How /api/jobs shows a prompt: status, times, and one output chosen as its preview."""

from typing import Any

from services.worker.rehearsal.prompt_queue import QueueItem

PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELLED = "pending", "in_progress", "completed", "failed", "cancelled"
STATUSES = (PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELLED)

SHOWN_KINDS = ("images", "video", "audio", "3d", "text")
MODEL_SUFFIXES = (".obj", ".fbx", ".gltf", ".glb", ".usdz")
TEXT_SUFFIXES = (".txt", ".md", ".json")
LONGEST_TEXT = 1024

Job = dict[str, Any]


def queued(item: QueueItem, status: str) -> Job:
    """A prompt that waits or runs."""
    job = {
        "id": item.prompt_id,
        "status": status,
        "priority": item.number,
        "create_time": item.extra_data.get("create_time"),
        "outputs_count": 0,
        "previewable_outputs_count": 0,
        "workflow_id": _workflow_id(item.extra_data),
    }
    return _without_none(job)


def finished(prompt_id: str, entry: dict[str, Any], *, full: bool = False) -> Job:
    """A prompt of the history; `full` adds its outputs, messages and workflow."""
    number, _, graph, extra_data, _ = entry["prompt"]
    messages = {message[0]: message[1] for message in entry["status"]["messages"]}
    ends = ("execution_success", "execution_error", "execution_interrupted")
    end: dict[str, Any] = next((messages[name] for name in ends if name in messages), {})
    outputs = entry["outputs"]
    items = list(_items(outputs))
    job = _without_none(
        {
            "id": prompt_id,
            "status": _status(entry["status"]["status_str"], messages),
            "priority": number,
            "create_time": extra_data.get("create_time"),
            "execution_start_time": messages.get("execution_start", {}).get("timestamp"),
            "execution_end_time": end.get("timestamp"),
            "execution_error": messages.get("execution_error"),
            "outputs_count": len(items),
            "previewable_outputs_count": sum(_is_shown(kind, item) for _, kind, item in items),
            "preview_output": _preview(outputs, items),
            "workflow_id": _workflow_id(extra_data),
        }
    )
    if full:
        job["outputs"] = outputs
        job["execution_status"] = entry["status"]
        job["workflow"] = {"prompt": graph, "extra_data": extra_data}
    return job


def created(job: Job) -> int:
    """Sort key: when it was submitted, unix ms."""
    return int(job.get("create_time", 0))


def duration(job: Job) -> int:
    """Sort key: how long it ran, in ms; 0 when it has not."""
    start, end = job.get("execution_start_time", 0), job.get("execution_end_time", 0)
    return int(end - start) if start and end else 0


def _status(word: str, messages: dict[str, Any]) -> str:
    if word == "success":
        return COMPLETED
    return CANCELLED if "execution_interrupted" in messages else FAILED


def _items(outputs: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every output that is a file: node id, kind and entry."""
    return [
        (node_id, kind, item)
        for node_id, shown in outputs.items()
        for kind, items in shown.items()
        if kind != "animated" and isinstance(items, list)
        for item in items
        if isinstance(item, dict)
    ]


def _is_shown(kind: str, item: dict[str, Any]) -> bool:
    name = str(item.get("filename", "")).lower()
    return (
        kind in SHOWN_KINDS
        or str(item.get("format") or "").startswith(("video/", "audio/"))
        or name.endswith(MODEL_SUFFIXES + TEXT_SUFFIXES)
    )


def _preview(outputs: dict[str, Any], items: list[tuple[str, str, dict[str, Any]]]) -> dict[str, Any] | None:
    """The output that stands for the job: saved pictures first, then passing ones, then text files, then text."""
    best: tuple[int, dict[str, Any]] | None = None
    for node_id, kind, item in items:
        if not _is_shown(kind, item):
            continue
        is_text = kind == "text" or str(item.get("filename", "")).lower().endswith(TEXT_SUFFIXES)
        rank = 2 if is_text else int(item.get("type") != "output")
        if best is None or rank < best[0]:
            best = rank, {"mediaType": kind, **item, "nodeId": node_id}
    return best[1] if best else _text_preview(outputs)


def _text_preview(outputs: dict[str, Any]) -> dict[str, Any] | None:
    for node_id, shown in outputs.items():
        for text in shown.get("text", []):
            if isinstance(text, str):
                cut = {"truncated": True} if len(text) > LONGEST_TEXT else {}
                return {"content": text[:LONGEST_TEXT], **cut, "nodeId": node_id, "mediaType": "text"}
    return None


def _workflow_id(extra_data: dict[str, Any]) -> Any:
    workflow = (extra_data.get("extra_pnginfo") or {}).get("workflow")
    return workflow.get("id") if isinstance(workflow, dict) else None


def _without_none(job: Job) -> Job:
    return {key: value for key, value in job.items() if value is not None}
