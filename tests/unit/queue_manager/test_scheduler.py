"""Why a job waits, and how long it will take."""

import pytest

from services.queue_manager.estimates import eta_seconds
from services.queue_manager.repository import Place, QueueSettings
from services.queue_manager.scheduler import waiting_because


def place(**changes: object) -> Place:
    values: dict[str, object] = {
        "position": 4,
        "pool": "any",
        "at_running_cap": False,
        "run_next": False,
        "running_cap": 1,
        "model": "flux",
        "mean_ms": 10_000,
        "own_ms": 20_000,
        "cold_ms": 60_000,
    }
    return Place(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "workers", "fitting", "where", "code", "words"),
    [
        (QueueSettings(paused=True, draining=True), 2, 2, place(), "draining", "emptied"),
        (QueueSettings(paused=True), 2, 2, place(), "paused", "keeps its place"),
        (QueueSettings(), 0, 0, place(), "no_worker", "No machine is there"),
        (QueueSettings(), 2, 0, place(), "no_fitting_worker", "nodes and models"),
        (QueueSettings(), 2, 1, place(position=0, at_running_cap=True), "next", "is next"),
        (QueueSettings(), 2, 1, place(at_running_cap=True), "cap_running", "1 job at a time"),
        (QueueSettings(), 2, 1, place(at_running_cap=True, running_cap=3), "cap_running", "3 jobs at a time"),
        (QueueSettings(), 2, 1, place(), "waiting_turn", "About 4 jobs"),
        (QueueSettings(), 2, 1, place(position=1), "waiting_turn", "About 1 job "),
    ],
)
def test_the_first_reason_that_holds_is_given(
    settings: QueueSettings, workers: int, fitting: int, where: Place, code: str, words: str
) -> None:
    reason = waiting_because(where, settings, workers, fitting)
    assert reason.code == code
    assert words in reason.message


def test_the_next_job_with_a_free_worker_takes_its_own_time_only() -> None:
    assert eta_seconds(place(position=0), fitting=2, busy=1, loaded=True) == 20.0


def test_jobs_before_it_and_running_ones_share_the_workers() -> None:
    # 4 jobs of 10 s and 2 running ones, half done, over 2 workers, then 20 s of its own.
    assert eta_seconds(place(), fitting=2, busy=2, loaded=True) == 45.0


def test_a_cold_start_is_counted_where_no_worker_has_the_models() -> None:
    assert eta_seconds(place(position=0), fitting=1, busy=0, loaded=False) == 60.0


@pytest.mark.parametrize("unknown", [{"own_ms": None}, {"mean_ms": None}])
def test_without_a_measurement_there_is_no_estimate(unknown: dict[str, object]) -> None:
    assert eta_seconds(place(**unknown), fitting=1, busy=0, loaded=True) is None


def test_without_a_measured_cold_start_there_is_no_friendly_estimate_of_one() -> None:
    assert eta_seconds(place(cold_ms=None), fitting=1, busy=0, loaded=False) is None


def test_without_a_worker_there_is_no_estimate() -> None:
    assert eta_seconds(place(), fitting=0, busy=0, loaded=True) is None
