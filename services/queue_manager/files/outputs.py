"""Output files: staged under a lease, made visible all at once when the job's success is on record.

An attempt uploads into `staging/<job>/<digest of its token>/`, with a manifest of what arrived whole. The record in
Redis is the truth: only after it says `succeeded`, with the manifest's files in it, is that folder renamed to
`outputs/<participant>/<job>`. If the process dies between the two, whoever looks next (a repeated report, a reader, the
start-up) finds the staged set that equals the record and renames it. Sets of other attempts are removed.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from services.domain.errors import InvalidInput, NotFound
from services.domain.job import Job, JobState, OutputFile
from services.kit.logs import get_logger
from services.queue_manager.files.disk import keep, receive, sweep_temporary, sync_folder
from services.queue_manager.files.paths import checked_name, inside
from services.queue_manager.repository import JobRepository

log = get_logger(__name__)

_MANIFEST = "manifest.jsonl"
_FILES = "files"


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """Where ComfyUI put a file, and which node made it; checked by `checked_place`."""

    node_id: str
    kind: str
    type: str
    subfolder: str
    filename: str

    @property
    def path(self) -> str:
        """Type, subfolder and file name as one relative path."""
        return "/".join(part for part in (self.type, self.subfolder, self.filename) if part)


def checked_place(node_id: str, kind: str, type_: str, subfolder: str, filename: str) -> OutputPlace:
    """Make an OutputPlace of what a worker says; raises InvalidInput naming the parameter at fault."""
    if type_ not in ("output", "temp"):
        raise InvalidInput("The parameter type has to be output or temp.")
    if not node_id or len(node_id) > 200 or not kind or len(kind) > 50:
        raise InvalidInput("The parameters node_id and kind have to be given, with at most 200 and 50 characters.")
    if "/" in filename:
        raise InvalidInput("The parameter filename has to be a plain name; folders belong into subfolder.")
    checked_name(filename, "parameter filename")
    if subfolder:
        checked_name(subfolder, "parameter subfolder")
    return OutputPlace(node_id, kind, type_, subfolder, filename)


class OutputFiles:
    """The outputs of all jobs, staged and published."""

    def __init__(self, jobs: JobRepository, data: Path, max_bytes: int) -> None:
        self._jobs = jobs
        self._staging = data / "staging"
        self._outputs = data / "outputs"
        self._incoming = data / "incoming"
        self._max_bytes = max_bytes

    async def stage(
        self,
        job_id: str,
        token: str,
        place: OutputPlace,
        parts: AsyncIterator[bytes],
        *,
        announced: int = 0,
        expected_sha256: str = "",
    ) -> OutputFile:
        """Take in one file of a running attempt; the same place again replaces it.

        Raises LeaseLost, InvalidInput (the digest differs), PayloadTooLarge, StorageFull; leaves nothing behind then.
        """
        await self._jobs.holds_lease(job_id, token)
        received = await receive(parts, self._incoming, limit=self._max_bytes, announced=announced)
        try:
            if expected_sha256 and received.sha256 != expected_sha256.lower():
                raise InvalidInput("The file's SHA-256 is not that of the header X-Content-SHA256; send it again.")
            await self._jobs.holds_lease(job_id, token)
            file = OutputFile(
                node_id=place.node_id,
                kind=place.kind,
                type=place.type,
                subfolder=place.subfolder,
                filename=place.filename,
                size=received.size,
                sha256=received.sha256,
            )
            attempt = self._attempt(job_id, token)
            try:
                await asyncio.to_thread(keep, received, attempt / _FILES / place.path)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise InvalidInput(
                    "The parameters name a folder where a file is, or a file where a folder is."
                ) from None
            await asyncio.to_thread(_note, attempt / _MANIFEST, file)
        finally:
            received.path.unlink(missing_ok=True)
        return file

    async def staged(self, job_id: str, token: str) -> list[OutputFile]:
        """List what this attempt has uploaded, in order of upload; to be recorded with the job's success."""
        return await asyncio.to_thread(_manifest, self._attempt(job_id, token))

    async def publish(self, job_id: str) -> None:
        """Bring the disk in line with the record of a job that has ended: publish its files, remove all other sets.

        May be repeated and may run twice at once. Call it after each report that ended a job.
        """
        # Listed first: an attempt that begins after the record was read (the job was requeued) is not touched.
        attempts = await asyncio.to_thread(_subfolders, self._staging / job_id)
        if not attempts:
            return
        job = await self._jobs.job(job_id)
        if job is not None and not job.state.is_final:
            return
        succeeded = job is not None and job.state is JobState.SUCCEEDED and job.outputs
        if job is not None and succeeded and not await asyncio.to_thread(self._publish, job):
            log.error("the files of a job that succeeded are missing", job=job_id)
            return
        await asyncio.to_thread(_remove_attempts, self._staging / job_id, attempts)

    async def find(self, job: Job, type_: str, path: str) -> tuple[OutputFile, Path]:
        """Return one output of a job and where it lies; `path` is subfolder/filename. Raises NotFound.

        While the job runs, what its newest attempt has uploaded so far is found, for its owner to look at.
        """
        if job.state is JobState.RUNNING:
            attempt, files = await asyncio.to_thread(self._newest_attempt, job.id)
            if (file := _named(files, type_, path)) is not None:
                return file, await asyncio.to_thread(inside, attempt / _FILES, f"{type_}/{path}")
        elif (file := _named(job.outputs, type_, path)) is not None:
            return file, await self._located(job, f"{type_}/{path}")
        raise NotFound("The job has no output of that name; GET /api/jobs/{id}/outputs lists them.")

    async def remove(self, participant: str, job_id: str) -> None:
        """Remove all files of a job that is being forgotten."""
        for folder in (self._outputs / participant / job_id, self._staging / job_id):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def heal(self) -> None:
        """Finish what an earlier process began: publish what is on record, remove what belongs to nobody."""
        await asyncio.to_thread(sweep_temporary, self._incoming)
        for folder in await asyncio.to_thread(_subfolders, self._staging):
            job = await self._jobs.job(folder.name)
            if job is None or job.state.is_final:
                await self.publish(folder.name)

    async def _located(self, job: Job, relative: str) -> Path:
        folder = self._outputs / job.participant / job.id
        try:
            return await asyncio.to_thread(inside, folder, relative)
        except NotFound:
            await self.publish(job.id)
            return await asyncio.to_thread(inside, folder, relative)

    def _attempt(self, job_id: str, token: str) -> Path:
        return self._staging / job_id / sha256(token.encode()).hexdigest()[:32]

    def _newest_attempt(self, job_id: str) -> tuple[Path, list[OutputFile]]:
        attempts = _subfolders(self._staging / job_id)
        if not attempts:
            return self._staging / job_id, []
        newest = max(attempts, key=lambda folder: folder.stat().st_mtime_ns)
        return newest, _manifest(newest)

    def _publish(self, job: Job) -> bool:
        """Rename the set that the record speaks of, unless that was done; answers whether it is in its place."""
        target = self._outputs / job.participant / job.id
        recorded = {(file.type, file.subfolder, file.filename, file.sha256) for file in job.outputs}
        for attempt in _subfolders(self._staging / job.id):
            staged = {(file.type, file.subfolder, file.filename, file.sha256) for file in _manifest(attempt)}
            if target.exists() or not recorded <= staged:  # more may have come after the record was made
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # somebody else was faster
                (attempt / _FILES).rename(target)
                sync_folder(target.parent)
        return target.exists()


def _named(files: list[OutputFile], type_: str, path: str) -> OutputFile | None:
    for file in files:
        if file.type == type_ and "/".join(part for part in (file.subfolder, file.filename) if part) == path:
            return file
    return None


def _note(manifest: Path, file: OutputFile) -> None:
    """Add a line to the manifest; on the disk before the worker is told that the file arrived."""
    descriptor = os.open(manifest, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(descriptor, file.model_dump_json().encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _manifest(attempt: Path) -> list[OutputFile]:
    """Read what arrived whole; the last line about a place counts."""
    files: dict[tuple[str, str, str], OutputFile] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in (attempt / _MANIFEST).read_bytes().splitlines():
            with contextlib.suppress(ValueError):  # a line cut short by a power cut: its sender was never answered
                file = OutputFile.model_validate_json(line)
                files[file.type, file.subfolder, file.filename] = file
    return list(files.values())


def _remove_attempts(folder: Path, attempts: Sequence[Path]) -> None:
    for attempt in attempts:
        shutil.rmtree(attempt, ignore_errors=True)
    with contextlib.suppress(OSError):  # not there, or there is a newer attempt in it
        folder.rmdir()


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
