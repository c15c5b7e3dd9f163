"""The scheduling rules that people ask about: why does my job wait, how often may a turn be overtaken.

Pure functions. The choice itself is made in `lua/lease.lua`, in one atomic step; `tests/support/queue_model.py` says
its rules once more in plain Python.
"""

from dataclasses import dataclass

from services.queue_manager.repository import Place, QueueSettings

OVERTAKING_SHARE = 0.3
"""By how much affinity may lengthen the longest wait: 1.3 times (lua/include/affinity.lua uses the same share)."""


def overtaking_limit(waiting_people: int) -> int:
    """How often one turn may be overtaken by jobs whose models are loaded already, with so many people waiting.

    A turn takes `waiting_people - 1` starts of others, so a few people are never overtaken.
    """
    return max(0, int(OVERTAKING_SHARE * (waiting_people - 1)))


@dataclass(frozen=True)
class WaitingReason:
    """Why a job waits: a word for machines, a sentence for its owner."""

    code: str
    message: str


def waiting_because(place: Place, settings: QueueSettings, workers: int, fitting: int) -> WaitingReason:
    """Say why a job waits. `workers`: how many are there at all; `fitting`: how many lease from the job's pool."""
    if settings.draining:
        return WaitingReason("draining", "The room is being emptied: jobs that run finish, waiting ones stay in line.")
    if settings.paused:
        return WaitingReason("paused", "The instructor has paused the queue; your job keeps its place.")
    if workers == 0:
        return WaitingReason("no_worker", "No machine is there at the moment; your job starts when one comes.")
    if fitting == 0:
        return WaitingReason(
            "no_fitting_worker", "No machine that is there has the nodes and models of this workflow; it waits for one."
        )
    if place.position == 0:
        return WaitingReason("next", "Your job is next; it starts as soon as a machine is free.")
    if place.at_running_cap:
        share = _jobs(place.running_cap)
        return WaitingReason("cap_running", f"Your share while others wait is {share} at a time, and it is in use.")
    return WaitingReason("waiting_turn", f"About {_jobs(place.position)} will start before yours.")


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
