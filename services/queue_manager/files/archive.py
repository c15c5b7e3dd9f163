"""The bodies of ended jobs on disk: `archive/<participant>/<job>.json` holds the workflow and ComfyUI's output lists.

Redis keeps an ended job's record for the list, and its bodies only until this module has written them down, some
seconds later. A requeue reads the workflow back. Which jobs ended is the repository's knowledge.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from services.domain.job import Job
from services.kit.logs import get_logger
from services.queue_manager.files.disk import write_file
from services.queue_manager.repository import JobRepository

log = get_logger(__name__)

_PAGE = 50
_PAGES = 20
"""Pages that one call moves at most, so that it comes to an end while jobs keep ending."""


class _Bodies(msgspec.Struct):
    """One archive file. `body` is the raw `{"workflow", "extra_data"}` as it was submitted."""

    executed: dict[str, Any] = {}
    # Not `Raw | None`: msgspec decodes that union as null only.
    body: msgspec.Raw = msgspec.Raw(b"null")


class Archive:
    """Writes bodies down and reads them back."""

    def __init__(self, jobs: JobRepository, data: Path) -> None:
        self._jobs = jobs
        self._folder = data / "archive"

    async def take_some(self) -> int:
        """Move bodies of ended jobs from Redis to disk; answers how many. Call it every few seconds."""
        taken = 0
        for _ in range(_PAGES):
            waiting = await self._jobs.unarchived(_PAGE)
            await asyncio.gather(*(self._take(participant, job_id) for participant, job_id in waiting))
            taken += len(waiting)
            if len(waiting) < _PAGE:
                break
        return taken

    async def workflow(self, participant: str, job_id: str) -> bytes | None:
        """Return the raw `{"workflow", "extra_data"}` of an ended job; None if there is none (any more)."""
        found = await asyncio.to_thread(self._read, participant, job_id)
        body = bytes(found.body) if found is not None else b"null"
        return None if body == b"null" else body

    async def executed(self, job: Job) -> dict[str, Any]:
        """Return ComfyUI's output lists of a job, from its record or from the disk."""
        if job.executed or not job.state.is_final:
            return job.executed
        found = await asyncio.to_thread(self._read, job.participant, job.id)
        return found.executed if found is not None else {}

    async def remove(self, participant: str, job_id: str) -> None:
        """Remove the bodies of a job that is being forgotten."""
        await asyncio.to_thread(self._path(participant, job_id).unlink, missing_ok=True)

    async def _take(self, participant: str, job_id: str) -> None:
        job = await self._jobs.job(job_id)
        if job is not None and job.state.is_final:
            body = await self._jobs.workflow(job_id)
            if body is not None:
                bodies = _Bodies(job.executed, msgspec.Raw(body))
                await asyncio.to_thread(write_file, self._path(participant, job_id), msgspec.json.encode(bodies))
        await self._jobs.archived(participant, job_id)
        if await self._jobs.job(job_id) is None:
            await self.remove(participant, job_id)

    def _path(self, participant: str, job_id: str) -> Path:
        return self._folder / participant / f"{job_id}.json"

    def _read(self, participant: str, job_id: str) -> _Bodies | None:
        try:
            return msgspec.json.decode(self._path(participant, job_id).read_bytes(), type=_Bodies)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            log.error("an archived job cannot be read", job=job_id)
            return None
