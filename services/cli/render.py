"""How answers look: tables and sentences for people, JSON for machines. The same data in both."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
"""What was asked for."""

notes = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, warnings and refusals, so that they do not mix with what was asked for."""

STATE_COLOURS = {
    "queued": "yellow",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "dead": "red",
    "cancelled": "bright_black",
}


def print_json(data: Any) -> None:
    """Write `data` as one JSON document, unwrapped and uncoloured."""
    out.file.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str) -> None:
    """Write a table, or the sentence `empty` when it would have no row."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not markup: names and labels may contain square brackets.
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    if table.row_count:
        out.print(table, soft_wrap=False)
    else:
        out.print(empty, markup=False)


def say(sentence: str) -> None:
    """Write one sentence of the answer."""
    out.print(sentence, markup=False)


def note(sentence: str) -> None:
    """Write one sentence beside the answer."""
    notes.print(sentence, markup=False)


def state_text(state: str) -> Text:
    """Return a job's or worker's state in its colour."""
    return Text(state, style=STATE_COLOURS.get(state, ""))


def clock_text(milliseconds: int | None) -> str:
    """Return a time as the reader's wall clock shows it, with the date unless it is today's."""
    if milliseconds is None:
        return ""
    moment = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    today = moment.date() == datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def duration_text(seconds: float) -> str:
    """Return a duration in words: `0.4 s`, `80 s`, `3 min`, `1 h 20 min`."""
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size_text(size: int) -> str:
    """Return a number of bytes in words, counted in powers of 1000 as file managers do."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the loop returns at GB")
