"""Fetching a job's files: where each goes, and that none lands elsewhere or on top of another."""

from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from services.cli.jobs import JobView
from services.cli.render import notes
from services.domain.errors import InvalidInput, WorkshopError
from services.domain.job import OutputFile
from services.kit.api_client import ApiClient


class StoredOutput(OutputFile):
    """An output and where it is fetched."""

    url: str


class Fetched(BaseModel):
    """One file that lies on this machine now."""

    path: Path
    size: int
    sha256: str


def list_outputs(api: ApiClient, job_id: str) -> list[StoredOutput]:
    """Return the job's files."""
    answer: dict[str, Any] = api.get(f"/api/jobs/{job_id}/outputs")
    return [StoredOutput.model_validate(output) for output in answer["outputs"]]


def place_for(folder: Path, output: OutputFile) -> Path:
    """Return where `output` belongs below `folder`; refuses names that lead out of it."""
    name = PurePosixPath(output.subfolder) / output.filename
    unsafe = name.is_absolute() or ".." in name.parts or not output.filename or "\0" in str(name)
    target = folder / name
    if unsafe or not target.resolve().is_relative_to(folder.resolve()):
        raise WorkshopError(f"The job names a file outside its folder ({str(name)!r}). It was not fetched.")
    return target


def fetch_outputs(api: ApiClient, job: JobView, output_dir: Path, *, with_temp: bool = False) -> list[Fetched]:
    """Fetch the job's files, previews only with `with_temp`, into `output_dir`/job-<number>; say what lies there."""
    folder = output_dir / f"job-{job.number}"
    outputs = [output for output in list_outputs(api, job.id) if output.type == "output" or with_temp]
    fetched = []
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )
    with bars:
        for output in outputs:
            target = place_for(folder / "temp" if output.type != "output" else folder, output)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                row = bars.add_task(output.filename, total=output.size)
                api.download(output.url, target, output.sha256, lambda count, row=row: bars.advance(row, count))  # type: ignore[misc]
            except OSError as error:
                raise InvalidInput(f"--output-dir: {target} cannot be written: {error.strerror}.") from error
            fetched.append(Fetched(path=target, size=output.size, sha256=output.sha256))
    return fetched
