"""When the runner gives a part up, and that it then still stops what runs."""

import math
from pathlib import Path

import pytest

from services.local import runner as runner_module
from services.local.folder import WorkshopFolder
from services.local.parts import Part
from services.local.runner import PartFailed, Runner
from services.local.running import Running, read_running
from services.local.settings import WorkshopSettings


@pytest.fixture
def folder(tmp_path: Path) -> WorkshopFolder:
    folder = WorkshopFolder(tmp_path / "workshop")
    folder.ensure()
    folder.ensure_credentials(participants=1, workers=1)
    return folder


def part(*command: str) -> Part:
    """A part that runs this command; no probe ever finds it ready."""
    return Part("short-lived", 0, command, {}, 30, "nowhere")


def run(folder: WorkshopFolder, made: Part, *, was_ready: bool) -> str:
    """Run the part until the runner gives it up; returns why."""
    settings = WorkshopSettings().model_copy(update={"queue_port": 1, "start_seconds": 600.0})
    runner = Runner(settings, folder, lambda: [made])
    if was_ready:
        runner._were_ready.add(made.name)
    with pytest.raises(PartFailed) as failure:
        runner.start()
    runner.stop()
    assert read_running(folder) == Running(url=settings.url)
    return failure.value.message


def test_a_part_that_ends_before_it_was_ready_is_not_tried_again(
    folder: WorkshopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    message = run(folder, part("sh", "-c", "echo no such luck; exit 7"), was_ready=False)
    assert "short-lived ended with exit code 7 before it was ready" in message
    assert "short-lived | no such luck" in capsys.readouterr().out


def test_a_part_that_dies_again_and_again_is_given_up(
    folder: WorkshopFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "RESTART_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(runner_module, "DEATHS_WITHIN_SECONDS", math.inf)
    message = run(folder, part("sh", "-c", "exit 3"), was_ready=True)
    assert "short-lived died 5 times" in message
    assert capsys.readouterr().out.count("died with exit code 3; starting it again") == 4


def test_what_a_part_prints_is_kept_in_its_log(folder: WorkshopFolder) -> None:
    run(folder, part("sh", "-c", "printf 'first\\nsecond\\n'; exit 1"), was_ready=False)
    assert (folder.logs / "short-lived.log").read_text(encoding="utf-8") == "first\nsecond\n"
