"""Which `pulumi` is taken: the one on PATH where it will do, else the one that was built, else a sentence why not."""

from pathlib import Path

import pytest

from infra.rehearsal import engine


def put(folder: Path, name: str, text: str) -> Path:
    """An executable script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH beside the system's own; the cache is empty."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


@pytest.mark.parametrize("version", ["v3.250.0", "3.258.0", "v3.259.0", "v3.301.2"])
def test_a_fitting_cli_on_the_path_is_taken(on_path: Path, version: str) -> None:
    assert put(on_path, "pulumi", f"echo {version}") == engine.existing()


@pytest.mark.parametrize("version", ["v3.249.0", "v2.300.0", "v3.256.0", "v3.257.1", "", "unknown"])
def test_one_that_is_too_old_or_broken_is_passed_over(on_path: Path, version: str) -> None:
    put(on_path, "pulumi", f"echo {version}")

    assert engine.existing() is None


def test_what_was_built_once_is_taken_again(on_path: Path, tmp_path: Path) -> None:
    built = put(tmp_path / "cache" / "comfyume" / f"pulumi-{engine.pinned_version()}", "pulumi", "exit 1")

    assert engine.ensure() == built


def test_a_build_happens_once_and_is_kept(on_path: Path, tmp_path: Path) -> None:
    put(on_path, "go", f'echo built >> {tmp_path}/log; while [ "$1" != -o ]; do shift; done; : > "$2"')

    assert engine.ensure() == engine.ensure()
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_build_that_fails_says_why_in_one_sentence(on_path: Path) -> None:
    put(on_path, "go", "echo some lines >&2; echo no network here >&2; exit 1")

    with pytest.raises(engine.EngineMissing, match=r"Go could not build \S+ here: no network here$"):
        engine.ensure()


def test_without_cli_and_go_the_reason_is_one_sentence(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(engine.EngineMissing, match="install one") as missing:
        engine.ensure()
    assert "\n" not in str(missing.value)
