"""A row of the result: one name, our figure beside the peers' and the limit's; as a table and as lines of JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians of one measurement. `peers` and `limit` have the same unit as `ours`."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    ours: float | None
    peers: dict[str, float] = field(default_factory=dict)
    limit: float | None = None
    note: str = ""

    @property
    def best_peer(self) -> float | None:
        """The figure to beat; None where no peer was measured."""
        if not self.peers:
            return None
        return max(self.peers.values()) if self.better == "higher" else min(self.peers.values())

    @property
    def ratio_to_best_peer(self) -> float | None:
        """Ours divided by the best peer's: above 1 is better for "higher", below 1 for "lower"."""
        best = self.best_peer
        return self.ours / best if self.ours is not None and best else None

    def as_json(self) -> dict[str, Any]:
        """The object that BENCH_JSON gets."""
        return {
            "name": self.name,
            "ours": self.ours,
            "unit": self.unit,
            "peers": self.peers,
            "limit": self.limit,
            "ratio_to_best_peer": self.ratio_to_best_peer,
        }


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Write one JSON object a line, whole or not at all."""
    lines = "".join(json.dumps(row.as_json()) + "\n" for row in rows)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(lines)
    temporary.replace(path)


def figure(value: float | None) -> str:
    """Three significant digits, and thousands as a person writes them."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row: Row) -> list[str]:
    """One row as text: name, unit, ours, peers (best first), limit, ratio, note."""
    peers = sorted(row.peers.items(), key=lambda item: item[1], reverse=row.better == "higher")
    ratio = row.ratio_to_best_peer
    return [
        row.name,
        row.unit,
        figure(row.ours),
        ", ".join(f"{name} {figure(value)}" for name, value in peers) or "-",
        figure(row.limit),
        f"{ratio:.2f}" if ratio is not None else "-",
        row.note,
    ]


COLUMNS = ["row", "unit", "ours", "peers, best first", "limit", "ours / best peer", "beside it"]


def as_table(rows: Iterable[Row], title: str) -> Table:
    """The table for the terminal."""
    table = Table(*COLUMNS, title=title)
    for row in rows:
        table.add_row(*cells(row))
    return table


def as_markdown(rows: Iterable[Row]) -> str:
    """The same table for the README."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def with_rows_of(markdown: str, rows: Iterable[Row]) -> str:
    """The table for the README, in which rows of an earlier one that were not measured again stay where they were."""
    header, rule, *fresh = as_markdown(rows).splitlines()
    lines = {_name_of(line): line for line in markdown.splitlines() if line.startswith("| ") and line != header}
    lines.pop(_name_of(rule), None)
    lines |= {_name_of(line): line for line in fresh}
    return "\n".join([header, rule, *lines.values()]) + "\n"


def _name_of(line: str) -> str:
    return line.split("|")[1].strip()
