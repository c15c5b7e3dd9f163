"""Where a fetched file may land."""

from pathlib import Path

import pytest

from services.cli.output_files import place_for
from services.cli.render import duration_text, size_text
from services.domain.errors import WorkshopError
from services.domain.job import OutputFile


def output(subfolder: str, filename: str) -> OutputFile:
    """An output with this name."""
    return OutputFile(
        node_id="9", kind="images", type="output", subfolder=subfolder, filename=filename, size=1, sha256=""
    )


def test_a_file_keeps_its_subfolder(tmp_path: Path) -> None:
    assert place_for(tmp_path, output("shots/a", "p.png")) == tmp_path / "shots" / "a" / "p.png"


@pytest.mark.parametrize(
    ("subfolder", "filename"),
    [("..", "p.png"), ("/etc", "p.png"), ("a/../..", "p"), ("", "../p"), ("", ""), ("", "p\0")],
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, subfolder: str, filename: str) -> None:
    with pytest.raises(WorkshopError, match="outside its folder"):
        place_for(tmp_path, output(subfolder, filename))


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "job-1"
    folder.mkdir()
    (folder / "away").symlink_to(tmp_path)
    with pytest.raises(WorkshopError, match="outside its folder"):
        place_for(folder, output("away", "p.png"))


def test_durations_are_told_in_the_unit_that_one_would_use() -> None:
    assert [duration_text(seconds) for seconds in (-1, 0.4, 89, 100, 5_399, 5_400, 8_000)] == [
        "0 s", "0.4 s", "89 s", "2 min", "1 h 30 min", "1 h 30 min", "2 h 13 min"
    ]  # fmt: skip


def test_sizes_are_told_in_the_unit_that_one_would_use() -> None:
    assert [size_text(size) for size in (0, 999, 1_000, 182_750, 2_000_000, 3_000_000_000_000)] == [
        "0 B", "999 B", "1.0 kB", "182.8 kB", "2.0 MB", "3000.0 GB"
    ]  # fmt: skip
