"""The workshop's folder: credentials made once, closed to others."""

import stat
from pathlib import Path

import pytest

from services.domain.errors import InvalidInput
from services.domain.names import Role
from services.local.folder import WorkshopFolder


@pytest.fixture
def folder(tmp_path: Path) -> WorkshopFolder:
    folder = WorkshopFolder(tmp_path / "workshop")
    folder.ensure()
    return folder


def names(folder: WorkshopFolder, role: Role) -> list[str]:
    return [one["name"] for one in folder.read_credentials() if one["role"] == role]


def test_the_first_start_gives_everybody_a_token_of_his_own(folder: WorkshopFolder) -> None:
    folder.ensure_credentials(participants=3, workers=2)
    assert names(folder, Role.PARTICIPANT) == ["user001", "user002", "user003"]
    assert names(folder, Role.WORKER) == ["worker-1", "worker-2"]
    tokens = [one["token"] for one in folder.read_credentials()]
    assert len(set(tokens)) == len(tokens) == 7
    assert all(token.startswith("cme_") and len(token) == 47 for token in tokens)


def test_a_later_start_changes_no_token_and_brings_no_removed_participant_back(folder: WorkshopFolder) -> None:
    folder.ensure_credentials(participants=3, workers=1)
    (folder.credentials / "participant-user002.json").unlink()
    kept = folder.read_credentials()
    folder.ensure_credentials(participants=3, workers=2)
    assert folder.read_credentials()[:-1] == kept
    assert names(folder, Role.WORKER) == ["worker-1", "worker-2"]


def test_nobody_else_on_the_machine_reads_the_secrets(folder: WorkshopFolder) -> None:
    folder.ensure_credentials(participants=1, workers=1)
    folder.redis_password()
    for path in (*folder.credentials.iterdir(), folder.redis / "password"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_damaged_credentials_file_is_named_and_left_alone(folder: WorkshopFolder) -> None:
    file = folder.credentials / "participant-user001.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"participant-user001\.json is damaged"):
        folder.ensure_credentials(participants=1, workers=1)
    assert file.read_text(encoding="utf-8") == "{"


def test_a_folder_that_cannot_be_made_is_refused_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInput, match="WORKSHOP_FOLDER"):
        WorkshopFolder(tmp_path / "file" / "workshop").ensure()


def test_the_redis_password_stays_the_same(folder: WorkshopFolder) -> None:
    assert folder.redis_password() == folder.redis_password() != ""
