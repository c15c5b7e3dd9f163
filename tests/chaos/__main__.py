"""`make chaos`: the long kill test, then a thousand cancels; prints what died and how the jobs ended."""

import argparse
import asyncio
import dataclasses
import statistics
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.cancels import CancelOutcome, cancel_test
from tests.chaos.kill_test import Outcome, kill_test
from tests.chaos.plan import LONG, Plan


def read_plan() -> Plan:
    """The command line as a plan; what is not told is as in the long run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=LONG.seconds, help="how long things are killed")
    parser.add_argument("--seed", type=int, default=LONG.seed, help="what is killed when")
    parser.add_argument("--jobs", type=int, default=LONG.jobs)
    parser.add_argument("--cancels", type=int, default=LONG.cancels, help="0 leaves the second part out")
    parser.add_argument("--lease-seconds", type=float, default=LONG.lease_seconds)
    parser.add_argument("--appendfsync", choices=["always", "everysec"], default=LONG.appendfsync)
    return dataclasses.replace(LONG, **vars(parser.parse_args()))


def tell(console: Console, killed: Outcome | None, cancelled: CancelOutcome | None) -> None:
    """Print the outcome."""
    if killed is not None:
        deaths = ", ".join(f"{name} {count}" for name, count in killed.deaths.most_common())
        console.print(f"killed {killed.deaths.total()} times: {deaths}")
        console.print(f"ends: {dict(killed.ends)}; accepted and then forgotten by Redis: {killed.forgotten}")
        console.print(f"a dead worker's job ran again after {killed.rerun_seconds:.1f} s")
    if cancelled is not None:
        console.print(f"cancels: {dict(cancelled.ends)}, {cancelled.never_started} of them never started")
        if cancelled.stops:
            median, longest = statistics.median(cancelled.stops), max(cancelled.stops)
            console.print(f"a running job stopped {median:.2f} s after its cancel (median), {longest:.2f} s at most")


def main() -> None:
    plan = read_plan()
    console = Console()
    killed = cancelled = None
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, console.status("starting") as status:
        if plan.seconds > 0:
            killed = asyncio.run(kill_test(Path(folder) / "kills", plan, status.update))
        if plan.cancels > 0:
            cancelled = asyncio.run(cancel_test(Path(folder) / "cancels", plan, status.update))
    tell(console, killed, cancelled)


if __name__ == "__main__":
    main()
