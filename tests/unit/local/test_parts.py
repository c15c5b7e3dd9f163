"""What each part is started with: Redis's configuration, and whose ComfyUI the workers drive."""

from pathlib import Path

import pytest

from services.local.folder import WorkshopFolder
from services.local.parts import Part, parts_of, write_redis_config
from services.local.settings import WorkshopSettings


@pytest.fixture
def folder(tmp_path: Path) -> WorkshopFolder:
    folder = WorkshopFolder(tmp_path / "workshop")
    folder.ensure()
    folder.ensure_credentials(participants=1, workers=3)
    return folder


def parts(folder: WorkshopFolder, **values: object) -> dict[str, Part]:
    """The parts by name, for settings with these values."""
    settings = WorkshopSettings().model_copy(update=values)
    return {part.name: part for part in parts_of(settings, folder)}


def test_the_parts_start_in_the_order_in_which_they_need_each_other(folder: WorkshopFolder) -> None:
    expected = ["redis", "queue-manager", "worker-1", "worker-2", "sign-in", "console", "web-ui-user001", "front-door"]
    assert list(parts(folder, workers=2)) == expected


def test_the_password_reaches_redis_and_the_queue_manager_and_never_an_argument(folder: WorkshopFolder) -> None:
    password = folder.redis_password()
    made = parts(folder)
    assert f"requirepass {password}" in write_redis_config(WorkshopSettings(), folder).read_text(encoding="utf-8")
    assert f":{password}@" in made["queue-manager"].environment["QUEUE_REDIS_URL"]
    assert not any(password in word for part in made.values() for word in part.command)


def test_each_worker_has_a_credential_and_a_folder_of_its_own(folder: WorkshopFolder) -> None:
    made = parts(folder, workers=3)
    for key in ("WORKER_TOKEN", "WORKER_NAME", "WORKER_DATA_DIR"):
        assert len({made[f"worker-{number}"].environment[key] for number in (1, 2, 3)}) == 3


def test_without_a_comfyui_the_worker_rehearses(folder: WorkshopFolder) -> None:
    assert parts(folder)["worker-1"].environment["WORKER_BACKEND"] == "rehearsal"


def test_comfyui_url_makes_the_worker_drive_that_one(folder: WorkshopFolder) -> None:
    environment = parts(folder, comfyui_url="http://10.0.0.5:8188")["worker-1"].environment
    assert environment["WORKER_BACKEND"] == "url"
    assert environment["WORKER_COMFYUI_URL"] == "http://10.0.0.5:8188"


def test_comfyui_dir_makes_the_worker_start_that_one_with_its_own_python(
    folder: WorkshopFolder, tmp_path: Path
) -> None:
    environment = parts(folder, comfyui_dir=tmp_path, comfyui_python=tmp_path / "python")["worker-1"].environment
    assert environment["WORKER_BACKEND"] == "local"
    assert environment["WORKER_COMFYUI_DIR"] == str(tmp_path.resolve())
    assert environment["WORKER_COMFYUI_PYTHON"] == str(tmp_path / "python")


def test_a_part_gets_the_settings_of_whoever_starts_the_workshop_but_not_over_its_own(
    folder: WorkshopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_WAITING_CAP", "5")
    monkeypatch.setenv("QUEUE_PORT", "1")
    environment = parts(folder)["queue-manager"].full_environment()
    assert (environment["QUEUE_WAITING_CAP"], environment["QUEUE_PORT"]) == ("5", "8180")


def test_a_worker_may_finish_its_job_before_it_is_ended(folder: WorkshopFolder) -> None:
    worker = parts(folder, drain_seconds=90.0)["worker-1"]
    assert worker.environment["WORKER_DRAIN_SECONDS"] == "90.0"
    assert worker.stop_seconds > 90
