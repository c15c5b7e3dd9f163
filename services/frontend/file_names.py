"""How one participant's output files are told apart across jobs.

ComfyUI counts names up within its folder; here each job has a folder of its own, so every first picture would be
`ComfyUI_00001_.png`. The web UI puts the job's number in front as a subfolder: `job-12/ComfyUI_00001_.png`.
"""

import re
from typing import Any

_FOLDER = re.compile(r"job-([1-9][0-9]{0,9})(?:/(.*))?", re.DOTALL)


def put_job_in_front(output: Any, number: int) -> Any:
    """ComfyUI's UI output of a node with every file's subfolder moved below its job's folder."""
    if isinstance(output, list):
        return [put_job_in_front(item, number) for item in output]
    if not isinstance(output, dict):
        return output
    moved = {key: put_job_in_front(value, number) for key, value in output.items()}
    if isinstance(output.get("filename"), str) and output.get("type") in ("output", "temp"):
        below = str(output.get("subfolder") or "").strip("/")
        moved["subfolder"] = f"job-{number}/{below}".rstrip("/")
    return moved


def split_job(subfolder: str) -> tuple[int, str] | None:
    """(job number, subfolder inside the job) of such a subfolder; None where it names no job."""
    match = _FOLDER.fullmatch(subfolder.strip("/"))
    return (int(match[1]), match[2] or "") if match else None
