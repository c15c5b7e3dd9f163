"""How a run in ComfyUI ended, read from its history entry. Pure: who asks ComfyUI, and what follows, is decided
elsewhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.domain.job import JobError
from services.worker.comfyui.messages import BLOCKED, NameMap, error_from


class Cure(StrEnum):
    """What ComfyUI needs before the next job."""

    NONE = "none"
    FREE = "free"
    RESTART = "restart"


@dataclass(frozen=True)
class Succeeded:
    """The prompt ran; `outputs` is the UI output of each node under ComfyUI's own names."""

    outputs: dict[str, Any]
    cached_nodes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Failed:
    """The prompt did not run to its end; a retryable failure says more about ComfyUI than about the job."""

    error: JobError
    retryable: bool
    cure: Cure = Cure.NONE


@dataclass(frozen=True)
class Stopped:
    """The worker stopped the prompt: `reason` is cancelled, preempted, drained, engine_away or lost."""

    reason: str
    verified: bool = True
    """Whether ComfyUI was seen without the prompt afterwards."""


Outcome = Succeeded | Failed | Stopped


def failure(kind: str, message: str, *, retryable: bool, cure: Cure = Cure.NONE) -> Failed:
    """A failure in the queue's own words."""
    return Failed(JobError(type=kind, message=message), retryable, cure)


@dataclass
class Seen:
    """What the messages of a run have said so far."""

    executed: dict[str, Any] = field(default_factory=dict)
    cached_nodes: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    interrupted: bool = False
    succeeded: bool = False
    blocked: bool = False

    @property
    def ended(self) -> bool:
        """Whether a message announced the end."""
        return self.succeeded or self.interrupted or self.error is not None

    def take(self, kind: str, data: Mapping[str, Any]) -> None:
        """Note what one message of this prompt says."""
        if kind == "executed" and data.get("output") is not None:
            self.executed[str(data.get("node"))] = data["output"]
        elif kind == "execution_cached":
            self.cached_nodes = [str(node) for node in data.get("nodes") or []]
        elif kind == "execution_error" and data.get("exception_type") == BLOCKED:
            self.blocked = True
        elif kind == "execution_error":
            self.error = dict(data)
        elif kind == "execution_interrupted":
            self.interrupted = True
        elif kind == "execution_success":
            self.succeeded = True


def judge(entry: Mapping[str, Any] | None, seen: Seen, names: NameMap, expected: Collection[str]) -> Outcome:
    """The outcome from the history entry (None if ComfyUI keeps none) and the messages.

    `expected` are nodes that write files whenever they run: a success in which none of them did is a lie.
    """
    status = (entry or {}).get("status") or {}
    for kind, data in status.get("messages") or []:
        seen.take(kind, data)
    if seen.error is not None:
        return _execution_error(seen.error, names)
    if seen.interrupted:
        return failure(
            "interrupted", "The run was interrupted in ComfyUI by somebody else than the queue.", retryable=True
        )
    if status.get("status_str") == "error" or not (entry or seen.succeeded):
        return failure("execution_error", "ComfyUI reports an error without saying which.", retryable=False)
    outputs = {**seen.executed, **((entry or {}).get("outputs") or {})}
    if expected and not seen.blocked and not any(outputs.get(node) for node in expected):
        return failure(
            "no_outputs",
            "ComfyUI reported success, but none of the output nodes delivered a file.",
            retryable=True,
            cure=Cure.FREE,
        )
    return Succeeded(outputs, seen.cached_nodes)


def _execution_error(data: dict[str, Any], names: NameMap) -> Failed:
    error = error_from(data, names)
    out_of_memory = "OutOfMemory" in error.type
    return Failed(error, retryable=False, cure=Cure.FREE if out_of_memory else Cure.NONE)
