"""Settings from the environment and from secret files: who wins, and what a bad file says."""

import warnings
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from services.kit import service_settings
from services.kit.service_settings import ServiceSettings


class Sample(ServiceSettings):
    """A service's settings as they all look."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_", frozen=True)

    token: SecretStr
    port: int = 1


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of secret files, empty."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setattr(service_settings, "SECRETS", folder)
    return folder


def test_a_file_named_like_the_variable_is_read_without_its_line_end(secrets: Path) -> None:
    (secrets / "SAMPLE_TOKEN").write_text("from a file\n")
    (secrets / "SAMPLE_PORT").write_text("8001\n")
    settings = Sample()
    assert settings.token.get_secret_value() == "from a file"
    assert settings.port == 8001


def test_the_environment_wins_over_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "SAMPLE_TOKEN").write_text("from a file")
    monkeypatch.setenv("SAMPLE_TOKEN", "from the environment")
    assert Sample().token.get_secret_value() == "from the environment"


def test_a_missing_folder_is_no_reason_for_a_warning(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.rmdir()
    monkeypatch.setenv("SAMPLE_TOKEN", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Sample().port == 1


def test_a_file_that_is_no_text_is_refused_by_the_settings_name(secrets: Path) -> None:
    (secrets / "SAMPLE_TOKEN").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValidationError) as refused:
        Sample()
    assert refused.value.errors()[0]["loc"] == ("token",)
    assert "cannot be read" in refused.value.errors()[0]["msg"]
