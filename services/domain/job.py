"""A job: one requested run of a workflow, with its owner, its state and its attempts."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_ATTEMPTS = 3
"""A job whose lease expired this often is dead (product requirement, section 3)."""


class JobState(StrEnum):
    """Where a job stands; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def is_final(self) -> bool:
        """Whether nothing but a requeue by hand can change the job any more."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Discipline(StrEnum):
    """The rule by which the next job is chosen."""

    ROUND_ROBIN = "round_robin"
    FIFO = "fifo"
    PRIORITY = "priority"


class Priority(StrEnum):
    """A job's class under the `priority` discipline, highest first; only the instructor sets it."""

    INSTRUCTOR = "instructor"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the class that goes first, 3 for the one that goes last."""
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


class OutputFile(BaseModel):
    """One file that a job produced, as ComfyUI named it."""

    model_config = ConfigDict(frozen=True)

    node_id: str
    kind: str = Field(description="ComfyUI's list in the node's output: images, gifs, video, audio, 3d, text")
    type: str = Field(description="ComfyUI's folder: output or temp")
    subfolder: str
    filename: str
    size: int = Field(description="bytes")
    sha256: str


class JobError(BaseModel):
    """Why a job failed or died, in words that may be shown to its owner: no paths, no traceback files."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="exception class or one of the queue's own words: lease_expired, too_large, hung ...")
    message: str
    node_id: str | None = None
    node_type: str | None = None


class Job(BaseModel):
    """The record of a job as its owner reads it. All times are unix milliseconds."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="lower-case UUID, ComfyUI's prompt_id")
    number: int = Field(description="the owner's own count of jobs, from 1")
    participant: str
    state: JobState
    priority: Priority = Priority.NORMAL
    label: str = ""
    attempt: int = Field(default=0, description="how often the job was leased so far")
    worker: str | None = None
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    run_next: bool = False
    client_id: str = ""
    error: JobError | None = None
    outputs: list[OutputFile] = Field(default_factory=list)
    executed: dict[str, Any] = Field(default_factory=dict, description="ComfyUI's UI output for each output node")
    cached_nodes: list[str] = Field(default_factory=list, description="nodes that ComfyUI answered from its cache")


class InputFile(BaseModel):
    """A file that the workflow names; fetched by content hash."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="the name as it stands in the workflow")
    sha256: str
    size: int


class Lease(BaseModel):
    """A worker's exclusive, time-limited claim on a job."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    token: str
    participant: str
    attempt: int
    number: int
    expires_at: int = Field(description="unix milliseconds; a heartbeat moves it")
    lease_seconds: float
    inputs: list[InputFile] = Field(default_factory=list)
    partial_execution_targets: list[str] = Field(default_factory=list)
