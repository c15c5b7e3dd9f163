"""The bodies of the ordinary routes, in and out, as pydantic models: they check what comes in and document what goes
out.

The two hot routes have their own decoders (intake.py, hot_routes.py); their documentation is in openapi.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.domain.job import Discipline, InputFile, Job, JobError, JobState, OutputFile, Priority
from services.domain.names import Name, Role
from services.queue_manager.credentials import TOKEN_PATTERN

MAX_CAP = 100_000
Text = Annotated[str, StringConstraints(max_length=200)]
Millis = Annotated[int, Field(description="unix milliseconds")]


class Body(BaseModel):
    """A body that comes in: unknown fields are refused, types are not bent, NaN is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ErrorAnswer(BaseModel):
    """Every refusal has this form."""

    error: str = Field(description="one word for machines", examples=["not_found"])
    detail: str = Field(
        description="one sentence for people: what is wrong, and what to do",
        examples=["There is no job 0b9c… of yours; GET /api/jobs lists your jobs."],
    )
    node_errors: dict[str, Any] | None = Field(
        default=None, description="workflow_rejected only: ComfyUI's own node_errors, by node id"
    )
    comfy: dict[str, Any] | None = Field(
        default=None, description="workflow_rejected only: ComfyUI's own error (type, message, details, extra_info)"
    )


class EnqueuedView(BaseModel):
    """A job that was taken in."""

    id: str = Field(description="UUID of the job", examples=["0b9c3b9e-6f0e-4d39-9f0b-0a4f4c8c2a11"])
    number: int = Field(description="the owner's own count of jobs, from 1", examples=[7])
    state: JobState
    duplicate: bool = Field(description="true when the same id or Idempotency-Key was taken in before")


class EnqueuedBatch(BaseModel):
    """The jobs of a batch, in its order."""

    jobs: list[EnqueuedView]


class WaitingBecause(BaseModel):
    """Why a waiting job does not run yet."""

    code: str = Field(
        description="paused, draining, no_worker, no_fitting_worker, waiting_turn, cap_running or next",
        examples=["waiting_turn"],
    )
    message: str = Field(description="the same as a sentence for its owner")


class JobView(Job):
    """A job as its owner reads it, with its place in the queue while it waits."""

    position: int | None = Field(default=None, description="jobs expected to start before this one; 0 is next")
    eta_seconds: float | None = Field(default=None, description="expected seconds until it ends; null when not known")
    waiting_because: WaitingBecause | None = None


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next: str | None = Field(description="give it as `before` to read on; null at the end")


class CancelMany(Body):
    """Which of one's own jobs to cancel."""

    states: list[Literal["queued", "running"]] = Field(
        default=["queued"], max_length=2, description="queued, running or both"
    )


class Cancelled(BaseModel):
    """The jobs that were told to end."""

    cancelled: list[str] = Field(description="ids")


class PriorityBody(Body):
    """A job's class under the discipline `priority`."""

    priority: Annotated[Priority, Field(strict=False)]


class DisciplineBody(Body):
    """The rule by which the next job is chosen."""

    discipline: Annotated[Discipline, Field(strict=False)]


class PausedBody(Body):
    """Whether jobs are handed out."""

    paused: bool


class DrainingBody(Body):
    """Whether no further job is to be started."""

    draining: bool


class Caps(Body):
    """Caps to set; one that is left out stays as it is."""

    waiting: int | None = Field(default=None, ge=0, le=MAX_CAP, description="waiting jobs a participant may have")
    running: int | None = Field(
        default=None, ge=1, le=MAX_CAP, description="running jobs a participant may have while others wait"
    )


class CapsView(BaseModel):
    """The caps in force."""

    waiting: int
    running: int


class ParticipantView(BaseModel):
    """One participant's share of the queue."""

    name: str
    waiting: int
    running: int
    ended_today: int


class RoomView(BaseModel):
    """The queue at a glance. A participant sees the totals and himself."""

    discipline: Discipline
    paused: bool
    draining: bool
    waiting: int
    running: int
    workers: int = Field(description="workers that are not lost")
    caps: CapsView = Field(description="for a participant: his own")
    participants: list[ParticipantView]


class CredentialView(BaseModel):
    """A credential without its token."""

    role: Role
    name: str
    created_at: Millis


class CredentialBody(Body):
    """The token to set; leave it out to get one made."""

    token: Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)] | None = Field(
        default=None, description="cme_ and 43 letters, digits, - or _"
    )


class NewCredential(BaseModel):
    """A credential with its token, which is shown this once."""

    role: Role
    name: str
    token: str


class WorkerProfile(Body):
    """What a worker says about itself when it comes."""

    comfyui_version: Text = Field(examples=["0.33.0"])
    rehearsal: bool = Field(description="true: the rehearsal engine answers, pictures are placeholders")
    gpu: dict[str, Any] | None = Field(default=None, max_length=50, description="what torch says, null without a GPU")
    models: dict[str, list[str]] = Field(
        default_factory=dict, max_length=1000, description="model files by ComfyUI's folder name"
    )
    catalogue_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    extensions_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = Field(
        default="", description="digest of the node packs' page files, empty without any"
    )


class Registered(BaseModel):
    """What a worker has to know when it has come."""

    catalogue_needed: bool = Field(description="PUT /api/workers/{name}/catalogue before leasing")
    extensions_needed: bool = Field(default=False, description="PUT /api/workers/{name}/extensions")
    lease_seconds: float


class WorkerView(BaseModel):
    """A worker as the room sees it."""

    name: Name
    state: Literal["idle", "busy", "draining", "lost"]
    job: str | None = None
    last_seen: Millis
    comfyui_version: str = ""
    rehearsal: bool = False
    gpu: dict[str, Any] | None = None
    loaded_model: str = ""
    profile: str = Field(default="", description="workers with the same profile have the same nodes and models")


class ExtensionList(BaseModel):
    """The node packs' page files."""

    files: dict[str, str] = Field(description="pack/file -> SHA-256", examples=[{"my-pack/widget.js": "9f86d0…"}])


class PublishedView(BaseModel):
    """A published workflow."""

    name: str
    size: int = Field(description="bytes")
    published_at: Millis


class WorkflowList(BaseModel):
    """What the instructor published."""

    workflows: list[PublishedView]


class InputList(BaseModel):
    """One's own uploads."""

    inputs: list[InputFile]


class OutputView(OutputFile):
    """An output with the address to download it from."""

    url: str


class OutputList(BaseModel):
    """What a job produced."""

    outputs: list[OutputView]


class HeartbeatAnswer(BaseModel):
    """The lease goes on until `expires_at`, unless `stop` says why the worker has to stop."""

    expires_at: Millis
    stop: Literal["cancelled", "preempted"] | None = None


class CompleteBody(Body):
    """A worker's report of success."""

    executed: dict[str, Any] = Field(default_factory=dict, description="UI output of each output node")
    cached_nodes: list[Text] = Field(default_factory=list, max_length=10_000)
    run_seconds: float = Field(default=0, ge=0, le=10_000_000)
    loaded_model: Text = ""


class FailBody(Body):
    """A worker's report of failure."""

    error: Annotated[JobError, Field(strict=False)]
    retryable: bool = Field(description="true: the job is tried again, up to three attempts")


class ReturnBody(Body):
    """Why a worker hands a job back untouched."""

    reason: Text = ""


class StateAnswer(BaseModel):
    """The state that was recorded."""

    state: JobState


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
