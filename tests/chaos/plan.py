"""How large and how rough one run is."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The kill test's numbers; all times in seconds."""

    seconds: float
    """How long things are killed."""
    seed: int
    jobs: int
    people: int = 20
    workers: int = 3
    lease_seconds: float = 25
    """As the queue manager's own setting."""
    kill_every: float = 2.0
    limit_seconds: float = 600
    """How long the room has, once it is left in peace, to bring every job to its end."""
    appendfsync: str = "always"
    """`everysec` may forget what Redis acknowledged within its last second; then a forgotten job is handed in again."""
    rerun_within_seconds: float = 30
    """How soon after its worker's death a job has to run again."""
    cancels: int = 1000


LONG = Plan(seconds=180, seed=1, jobs=200)
SHORT = Plan(seconds=40, seed=7, jobs=40, lease_seconds=5, limit_seconds=500, rerun_within_seconds=120, cancels=300)
"""The one that `make test` runs: every job with its end, and no clock that a slow machine could miss."""
