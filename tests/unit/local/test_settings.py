"""The local workshop's settings: what is refused, and that the sentence names the variable."""

import os
from pathlib import Path

import pytest

from services.domain.errors import InvalidInput
from services.local.settings import read_settings


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("WORKSHOP_", "COMFYUI_")):
            monkeypatch.delenv(name)


def test_nothing_needs_to_be_set() -> None:
    settings = read_settings()
    assert (settings.folder, settings.url, settings.workers) == (Path("workshop"), "http://127.0.0.1:8180", 1)


def test_a_workshop_that_listens_everywhere_is_reached_on_this_machine() -> None:
    assert read_settings().model_copy(update={"host": "0.0.0.0"}).url == "http://127.0.0.1:8180"
    assert read_settings().model_copy(update={"host": "::1"}).url == "http://[::1]:8180"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORKSHOP_WORKERS": "4"}, "WORKSHOP_WORKERS=4"),
        ({"WORKSHOP_WORKERS": "many"}, "WORKSHOP_WORKERS=many"),
        ({"WORKSHOP_QUEUE_PORT": "70000"}, "WORKSHOP_QUEUE_PORT=70000"),
        ({"WORKSHOP_QUEUE_PORT": "8179"}, "WORKSHOP_QUEUE_PORT and WORKSHOP_REDIS_PORT"),
        ({"WORKSHOP_START_SECONDS": "0"}, "WORKSHOP_START_SECONDS=0"),
        ({"COMFYUI_URL": "somewhere"}, "COMFYUI_URL=somewhere"),
        ({"COMFYUI_URL": "http://127.0.0.1:8188", "WORKSHOP_WORKERS": "2"}, "WORKSHOP_WORKERS"),
        ({"COMFYUI_DIR": "/nowhere"}, "COMFYUI_DIR"),
        ({"COMFYUI_DIR": "/nowhere", "COMFYUI_URL": "http://127.0.0.1:8188"}, "COMFYUI_DIR and COMFYUI_URL"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as refusal:
        read_settings()
    assert words in refusal.value.message
    assert "\n" not in refusal.value.message
