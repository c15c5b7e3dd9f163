"""Contestants in turn: A, B, C, then C, B, A, and so on, so that other work on the machine falls on all alike."""

import statistics
from collections.abc import Awaitable, Callable

from tests.benchmarks.machine import load_average

Sample = dict[str, float]
"""One run's figures by name; every run of one contestant has the same names."""

Contestant = Callable[[], Awaitable[Sample]]
Report = Callable[[str], None]


async def take_turns(contestants: dict[str, Contestant], rounds: int, report: Report) -> dict[str, Sample]:
    """Run each contestant once a round, the order reversed in every second one; medians, `load` among them."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for turn in range(rounds):
        order = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        for name in order:
            report(name)
            load = load_average()
            samples[name].append({**await contestants[name](), "load": load})
    return {name: medians(runs) for name, runs in samples.items()}


def medians(runs: list[Sample]) -> Sample:
    """The median of each figure over the runs."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
