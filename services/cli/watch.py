"""Follows jobs until they end, and shows it: the place in the queue while they wait, the nodes while they run."""

import queue
import time
from collections.abc import Mapping
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from services.cli.event_feed import Away, EventFeed, Item, Opened, Refused
from services.cli.jobs import JobView, detail_text, read_job
from services.cli.node_progress import NodeProgress
from services.cli.render import note, notes
from services.domain.errors import NotFound, Unavailable, WorkshopError
from services.domain.job import JobState
from services.kit.api_client import ApiClient

POLL_SECONDS = 2.0
"""How often places and estimates are read anew; events bring everything else."""


class JobWatch:
    """Follows some jobs of one credential; `node_classes` maps job id -> (node id -> class)."""

    def __init__(self, api: ApiClient, node_classes: Mapping[str, Mapping[str, str]]) -> None:
        self._api = api
        self._jobs: dict[str, JobView] = {}
        self._nodes = {job_id: NodeProgress(classes) for job_id, classes in node_classes.items()}
        self._rows: dict[str, TaskID] = {}
        self._away = False
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=notes,
            disable=not notes.is_terminal,
        )

    def run(self) -> list[JobView]:
        """Return the jobs when all have ended, in the order given. Ctrl-C leaves the jobs alone and propagates."""
        feed = EventFeed(self._api)
        feed.start()
        try:
            with self._bars:
                self._read_all()
                while any(not job.state.is_final for job in self._jobs.values()):
                    self._wait(feed.items)
        finally:
            feed.close()
        return [self._jobs[job_id] for job_id in self._nodes]

    def _wait(self, items: "queue.Queue[Item]") -> None:
        """Take in what comes until the next reading is due, or an event asks for one."""
        due = time.monotonic() + POLL_SECONDS
        while (left := due - time.monotonic()) > 0:
            try:
                if self._take(items.get(timeout=left)):
                    break
            except queue.Empty:
                break
        self._read_all()

    def _take(self, item: Item) -> bool:
        """Take in one item of the feed; say whether the jobs have to be read anew."""
        if isinstance(item, Opened | Away):
            return True
        if isinstance(item, Refused):
            raise item.error
        job_id = str(item.get("job"))
        if item["type"] == "missed":
            return True
        if job_id not in self._nodes:
            return False
        if item["type"] == "job.progress":
            self._take_progress(job_id, item.get("data") or {})
            return False
        return True

    def _take_progress(self, job_id: str, data: Mapping[str, Any]) -> None:
        inner = data.get("data")
        self._nodes[job_id].take(str(data.get("message")), inner if isinstance(inner, Mapping) else {})
        self._show(job_id)

    def _read_all(self) -> None:
        for job_id in self._nodes:
            known = self._jobs.get(job_id)
            if known is not None and known.state.is_final:
                continue
            try:
                self._jobs[job_id] = read_job(self._api, job_id)
            except Unavailable as error:
                if known is None:
                    raise
                self._say_away(error.message)
                return
            self._say_change(known, self._jobs[job_id])
            self._show(job_id)
        self._say_away(None)

    def _say_away(self, reason: str | None) -> None:
        if reason is not None and not self._away:
            note(f"{reason} Waiting for it; the job goes on.")
        elif reason is None and self._away:
            note("It answers again.")
        self._away = reason is not None

    def _say_change(self, before: JobView | None, now: JobView) -> None:
        if before is not None and before.state is JobState.RUNNING and now.state is JobState.QUEUED:
            self._nodes[now.id].restart()
        if not notes.is_terminal and (before is None or before.state is not now.state):
            note(f"job {now.number}: {describe(now)}")

    def _show(self, job_id: str) -> None:
        job, nodes = self._jobs.get(job_id), self._nodes[job_id]
        if job is None:
            return
        if job_id not in self._rows:
            self._rows[job_id] = self._bars.add_task("", total=1.0)
        words = nodes.words if job.state is JobState.RUNNING and nodes.words else ""
        share = 1.0 if job.state is JobState.SUCCEEDED else nodes.share
        text = f"job {job.number}: {words or describe(job)}"
        self._bars.update(self._rows[job_id], description=text, completed=share)
        if job.state.is_final:
            self._bars.stop_task(self._rows[job_id])


def describe(job: JobView) -> str:
    """Say a job's state and what belongs to it in one line."""
    detail = detail_text(job)
    return f"{job.state}, {detail}" if detail else str(job.state)


def raise_unless_succeeded(jobs: list[JobView]) -> None:
    """Raise when one of the jobs ended otherwise than by success."""
    bad = [job for job in jobs if job.state is not JobState.SUCCEEDED]
    if bad:
        first = bad[0]
        more = f" {len(bad) - 1} more did not succeed either." if len(bad) > 1 else ""
        raise WorkshopError(f"Job {first.number} ended as {describe(first)}.{more}")


def node_classes_of(api: ApiClient, job_id: str) -> dict[str, str]:
    """Return node id -> class of a job that was submitted elsewhere; empty when its workflow is not kept any more."""
    try:
        workflow = api.get(f"/api/jobs/{job_id}/workflow")["workflow"]
    except NotFound:
        return {}
    return {node_id: str(node.get("class_type", "")) for node_id, node in workflow.items() if isinstance(node, dict)}
