"""The form of the result, without any timing: what BENCH_JSON gets and what the table shows."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.rows import Row, as_markdown, as_table, with_rows_of, write_json
from tests.benchmarks.turns import medians, take_turns
from tests.benchmarks.workflows import KB, catalogue, envelope, workflow_of

ROW = Row(
    name="dispatch_2k_p50", unit="ms", better="lower", ours=1.0, peers={"saq": 2.0, "taskiq": 1.6}, limit=0.5, note="x"
)


def test_a_row_is_one_json_object_on_one_line(tmp_path: Path) -> None:
    write_json([ROW, ROW], tmp_path / "rows.json")
    lines = (tmp_path / "rows.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == 2 * [
        {
            "name": "dispatch_2k_p50",
            "ours": 1.0,
            "unit": "ms",
            "peers": {"saq": 2.0, "taskiq": 1.6},
            "limit": 0.5,
            "ratio_to_best_peer": pytest.approx(0.625),
        }
    ]


def test_the_best_peer_is_the_highest_or_the_lowest_as_the_unit_demands() -> None:
    assert ROW.best_peer == 1.6
    assert Row(name="n", unit="jobs/s", better="higher", ours=1, peers={"a": 2, "b": 3}).best_peer == 3


def test_a_row_without_peers_has_no_ratio() -> None:
    row = Row(name="n", unit="us", better="lower", ours=12.0)
    assert row.ratio_to_best_peer is None
    assert row.as_json()["ratio_to_best_peer"] is None


def test_the_tables_have_a_line_for_each_row() -> None:
    assert as_table([ROW, ROW], "title").row_count == 2
    assert as_markdown([ROW]).splitlines()[-1] == "| dispatch_2k_p50 | ms | 1 | taskiq 1.6, saq 2 | 0.5 | 0.62 | x |"


def test_a_row_that_was_not_measured_again_stays_in_the_table() -> None:
    other = Row(name="other", unit="s", better="lower", ours=3.0)
    again = Row(name="other", unit="s", better="lower", ours=4.0)
    table = with_rows_of(f"a heading\n\n{as_markdown([other, ROW])}\n", [again])
    assert table == as_markdown([again, ROW])


async def test_contestants_take_turns_and_every_second_round_is_reversed() -> None:
    order: list[str] = []

    async def run() -> dict[str, float]:
        return {"value": float(len(order))}

    found = await take_turns({"a": run, "b": run}, rounds=3, report=order.append)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found["a"]["value"] == 4
    assert set(found["b"]) == {"value", "load"}


def test_the_median_is_taken_figure_by_figure() -> None:
    assert medians([{"x": 1, "y": 9}, {"x": 3, "y": 1}, {"x": 2, "y": 5}]) == {"x": 2, "y": 5}


@pytest.mark.parametrize("size", [2 * KB, 40 * KB])
def test_a_workflow_has_the_wanted_size_and_its_nodes_are_in_the_catalogue(size: int) -> None:
    assert abs(len(envelope(size)) - size) < size * 0.06
    assert {node["class_type"] for node in workflow_of(size).values()} <= set(json.loads(catalogue()))
