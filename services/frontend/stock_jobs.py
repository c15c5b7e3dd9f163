"""The queue manager's jobs in the forms that ComfyUI's newer `/api/jobs` routes have.

Pure translation, no I/O. What counts as an output and which one is the preview follows ComfyUI 0.33.0's rules.
"""

from typing import Any

from services.frontend.stock_history import Job, extra_data_of, failed, output_nodes, status_of

STATUS_OF_STATE = {
    "queued": "pending", "running": "in_progress", "succeeded": "completed", "failed": "failed", "dead": "failed",
    "cancelled": "cancelled",
}  # fmt: skip
STATES_OF_STATUS = {
    "pending": ("queued",), "in_progress": ("running",), "completed": ("succeeded",), "failed": ("failed", "dead"),
    "cancelled": ("cancelled",),
}  # fmt: skip

_PREVIEWED_KINDS = {"images", "video", "audio", "3d", "text"}
_TEXT_ENDINGS = (".txt", ".md", ".json")
_MODEL_ENDINGS = (".obj", ".fbx", ".gltf", ".glb", ".usdz")
_TEXT_PREVIEW_CHARACTERS = 1024


def job_summary(job: Job, workflow_id: str | None) -> dict[str, Any]:
    """One row of the list."""
    status = STATUS_OF_STATE[job["state"]]
    summary: dict[str, Any] = {
        "id": job["id"], "status": status, "priority": job["number"], "create_time": job["created_at"],
    }  # fmt: skip
    outputs = output_nodes(job)
    items = _items(outputs)
    if status not in ("pending", "in_progress"):
        summary |= {"execution_start_time": job.get("started_at"), "execution_end_time": job.get("ended_at")}
        if status == "failed":
            summary["execution_error"] = failed(job)
    summary["outputs_count"] = len(items)
    summary["previewable_outputs_count"] = sum(_has_preview(kind, item) for _, kind, item in items)
    summary["preview_output"] = _preview(outputs)
    summary["workflow_id"] = workflow_id
    return {key: value for key, value in summary.items() if value is not None}


def job_detail(job: Job, body: dict[str, Any]) -> dict[str, Any]:
    """One job, whole: stock gives the outputs and the workflow of ended jobs only."""
    detail = job_summary(job, workflow_id_of(body))
    if STATUS_OF_STATE[job["state"]] in ("pending", "in_progress"):
        return detail
    return detail | {
        "outputs": output_nodes(job),
        "execution_status": status_of(job),
        "workflow": {"prompt": body.get("workflow") or {}, "extra_data": extra_data_of(job, body)},
    }


def workflow_id_of(body: dict[str, Any]) -> str | None:
    """The id that the page gave its workflow, where it gave one."""
    match body:
        case {"extra_data": {"extra_pnginfo": {"workflow": {"id": str(workflow_id)}}}}:
            return workflow_id
    return None


def _items(outputs: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(node, kind, item) of everything that counts as an output: files, and names of 3D files."""
    found = []
    for node, kinds in outputs.items():
        for kind, entries in kinds.items() if isinstance(kinds, dict) else ():
            if kind == "animated" or not isinstance(entries, list):
                continue
            for entry in entries:
                item = _as_file(entry)
                if item is not None:
                    found.append((node, kind, item))
    return found


def _as_file(entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, dict):
        return entry
    if isinstance(entry, str) and entry.lower().endswith(_MODEL_ENDINGS):
        return {"filename": entry, "type": "output", "subfolder": "", "mediaType": "3d"}
    return None


def _has_preview(kind: str, item: dict[str, Any]) -> bool:
    name = str(item.get("filename", "")).lower()
    if kind in _PREVIEWED_KINDS or name.endswith(_MODEL_ENDINGS + _TEXT_ENDINGS):
        return True
    return str(item.get("format") or "").startswith(("video/", "audio/"))


def _is_text(kind: str, item: dict[str, Any]) -> bool:
    return kind == "text" or str(item.get("filename", "")).lower().endswith(_TEXT_ENDINGS)


def _preview(outputs: dict[str, Any]) -> dict[str, Any] | None:
    """The output to show for the job: a saved picture before a temporary one, before a text file, before text."""
    best: tuple[int, dict[str, Any]] | None = None
    for node, kind, item in _items(outputs):
        if not _has_preview(kind, item):
            continue
        rank = 2 if _is_text(kind, item) else 0 if item.get("type") == "output" else 1
        if best is None or rank < best[0]:
            best = (rank, {**item, "nodeId": node, "mediaType": item.get("mediaType", kind)})
    return best[1] if best else _text_preview(outputs)


def _text_preview(outputs: dict[str, Any]) -> dict[str, Any] | None:
    for node, kinds in outputs.items():
        texts = kinds.get("text") if isinstance(kinds, dict) else None
        if isinstance(texts, list) and texts:
            content = str(texts[0])
            shown: dict[str, Any] = {"content": content[:_TEXT_PREVIEW_CHARACTERS]}
            if len(content) > _TEXT_PREVIEW_CHARACTERS:
                shown["truncated"] = True
            return shown | {"nodeId": node, "mediaType": "text"}
    return None
