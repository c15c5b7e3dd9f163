"""`make bench`: measures us, the peers and the limits side by side, prints a table, writes BENCH_JSON if set.

`--quick` takes about half a minute and is for a look while working; figures to be quoted come from a full run on a
machine that does nothing else.
"""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.benchmarks import (
    measure_claim,
    measure_containers,
    measure_deployment,
    measure_dispatch,
    measure_door,
    measure_durability,
    measure_events,
    measure_frontends,
    measure_noop,
    measure_page,
    measure_recovery,
    measure_submit,
)
from tests.benchmarks.bench import Bench, stay_on_load_core
from tests.benchmarks.machine import describe, load_average, peers_python
from tests.benchmarks.rows import Row, as_table, with_rows_of, write_json

Measurement = Callable[[Bench], Awaitable[list[Row]]]

MEASUREMENTS: dict[str, Measurement] = {
    "submit": measure_submit.measure,
    "claim": measure_claim.measure,
    "dispatch": measure_dispatch.measure,
    "noop": measure_noop.measure,
    "events": measure_events.measure,
    "recovery": measure_recovery.measure,
    "durability": measure_durability.measure,
    "door": measure_door.measure,
    "frontends": measure_frontends.measure,
    "page": measure_page.measure,
    "deployment": measure_deployment.measure,
    "containers": measure_containers.measure,
    "containers_up": measure_deployment.measure_containers_up,
}
QUICK_SKIPS = ("durability", "door", "frontends", "page", "deployment")
ONLY_WHEN_NAMED = ("containers", "containers_up")
"""Build images first, which takes minutes, and need a Docker engine: `--only containers containers_up`."""
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
NO_PEERS = (
    "The peers' environment is missing, so no library is measured beside us. "
    "Make it with: python -m venv .venv-peers && .venv-peers/bin/pip install -r requirements/bench-peers.txt"
)


def read_arguments() -> argparse.Namespace:
    """The command line; `--rounds` and `--seconds` are for trials."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, fewer peers, no 100,000 jobs")
    parser.add_argument("--only", nargs="+", choices=sorted(MEASUREMENTS), help="these measurements and no others")
    parser.add_argument("--rounds", type=int, help="rounds of A, B, C; 3 unless told, 1 when quick")
    parser.add_argument("--seconds", type=float, help="length of one load; 3 unless told, 1 when quick")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md beside this file")
    return parser.parse_args()


async def run(arguments: argparse.Namespace, console: Console) -> list[Row]:
    """All wanted measurements, one after the other, with a line that says what runs."""
    skipped = ONLY_WHEN_NAMED + (QUICK_SKIPS if arguments.quick else ())
    names = arguments.only or [name for name in MEASUREMENTS if name not in skipped]
    columns = (SpinnerColumn(), TextColumn("{task.completed}/{task.total} {task.description}"), TimeElapsedColumn())
    rows: list[Row] = []
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        task = progress.add_task("starting", total=len(names))
        bench = Bench(
            quick=arguments.quick,
            rounds=arguments.rounds or (1 if arguments.quick else 3),
            seconds=arguments.seconds or (1.0 if arguments.quick else 3.0),
            peers_python=peers_python(),
            report=lambda what: progress.update(task, description=what),
        )
        if bench.peers_python is None:
            console.print(NO_PEERS)
        for name in names:
            rows += await MEASUREMENTS[name](bench)
            progress.advance(task)
    return rows


def write_into_readme(rows: list[Row]) -> None:
    """Put machine, date and table between the README's two marks; what stands outside them is written by hand.

    Rows that this run did not measure stay as they are.
    """
    text = README.read_text()
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    table = with_rows_of(text[len(before) : len(text) - len(after)], rows)
    heading = f"{describe()}. {date.today().isoformat()}, load average at the end {load_average():.1f}."
    README.write_text(f"{before}\n\n{heading}\n\n{table}\n{after}")


def main() -> None:
    arguments = read_arguments()
    stay_on_load_core()
    console = Console(width=None if os.isatty(1) else 180)
    rows = asyncio.run(run(arguments, console))
    console.print(as_table(rows, f"{describe()}, {date.today().isoformat()}"))
    if arguments.readme:
        write_into_readme(rows)
    if path := os.environ.get("BENCH_JSON"):
        write_json(rows, Path(path))


if __name__ == "__main__":
    main()
