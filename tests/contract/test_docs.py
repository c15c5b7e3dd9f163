"""What is written down agrees with what is there: verbs, settings, links, locks, decisions; nothing of one machine."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import services
from services.cli.__main__ import HELP
from services.domain import errors
from services.kit.service_settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def verbs() -> dict[str, str]:
    """Each verb of the Makefile with its line of help."""
    return dict(re.findall(r"^([a-z-]+):.*## (.*)$", MAKEFILE, re.MULTILINE))


def settings_classes() -> Iterator[tuple[Path, type[BaseSettings]]]:
    """Each settings class of the services with the folder of the module that defines it."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith(".settings"):
            continue
        loaded = importlib.import_module(module.name)
        for _name, kind in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(kind, BaseSettings) and kind.__module__ == module.name:
                yield Path(str(loaded.__file__)).parent, kind


def variables(kind: type[BaseSettings]) -> set[str]:
    """The environment variables that a settings class reads."""
    prefix = str(kind.model_config.get("env_prefix") or "")
    return {
        field.validation_alias if isinstance(field.validation_alias, str) else (prefix + name).upper()
        for name, field in kind.model_fields.items()
    }


def committed_files() -> list[Path]:
    """What git knows of this checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_the_readme_lists_every_verb_of_the_makefile_in_its_words() -> None:
    assert dict(re.findall(r"^\| `make ([a-z-]+)` \| (.*) \|$", README, re.MULTILINE)) == verbs()


def test_make_alone_lists_every_verb() -> None:
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    for verb, words in verbs().items():
        assert re.search(rf"^  make {verb} +{re.escape(words)}$", printed, re.MULTILINE)


def test_every_setting_stands_in_the_readme_of_its_service() -> None:
    missing = [
        f"{folder.relative_to(ROOT)}/README.md lacks {variable}"
        for folder, kind in settings_classes()
        for variable in sorted(variables(kind))
        if not (folder / "README.md").is_file()
        or f"`{variable}`" not in (folder / "README.md").read_text(encoding="utf-8")
    ]
    assert not missing


def test_every_service_that_runs_in_a_container_reads_secret_files() -> None:
    run_by_people = {"services.local.settings", "services.cli.settings"}
    without = [kind for _folder, kind in settings_classes() if not issubclass(kind, ServiceSettings)]
    assert {kind.__module__ for kind in without} == run_by_people


def test_no_readme_explains_a_setting_that_is_gone() -> None:
    known = {variable for _folder, kind in settings_classes() for variable in variables(kind)}
    for readme in [ROOT / "README.md", *ROOT.glob("services/**/README.md")]:
        explained = re.findall(r"^\| `([A-Z][A-Z_]+)` \|", readme.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(explained) <= known, readme


def test_the_first_page_names_the_readme_of_every_service() -> None:
    for folder, _kind in settings_classes():
        assert f"]({folder.relative_to(ROOT)}/README.md)" in README


def test_every_link_of_the_readmes_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (*ROOT.glob("*.md"), *ROOT.glob("services/**/*.md"), *ROOT.glob("infra/**/*.md"))
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_the_files_that_the_readmes_first_job_names_are_there() -> None:
    command = next(line for line in README.splitlines() if line.startswith(".venv/bin/comfyume submit "))
    assert (ROOT / command.split()[2]).is_file()


def test_every_exit_code_of_the_errors_stands_in_the_help() -> None:
    kinds = [kind for _name, kind in inspect.getmembers(errors, inspect.isclass)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.WorkshopError)}
    assert all(re.search(rf"\b{code} [a-z]", HELP) for code in codes)


def test_each_extra_has_a_lock_that_make_lock_writes() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    locks = re.search(r"^LOCKS +:= (.*)$", MAKEFILE, re.MULTILINE)
    assert locks is not None
    assert set(locks[1].split()) == extras
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == extras


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_every_requirement_is_pinned_by_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    requirements = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    assert requirements
    assert all(re.match(r"[\w.-]+==\S+", one) and "--hash=sha256:" in one for one in requirements)
    assert "://" not in text
    assert "--index-url" not in text


def test_every_decision_is_listed_and_has_the_four_parts() -> None:
    folder = ROOT / "infra" / "decisions"
    records = sorted(path for path in folder.glob("[0-9]*.md") if not path.name.startswith("0000"))
    index = (folder / "README.md").read_text(encoding="utf-8")
    for record in records:
        assert f"({record.name})" in index
        text = record.read_text(encoding="utf-8")
        for part in ("Context.", "Decision.", "Consequences.", "Alternatives."):
            assert f"**{part}**" in text, record.name
    assert len(re.findall(r"^\| \[", index, re.MULTILINE)) == len(records)


def test_no_committed_file_names_a_registry_or_a_path_of_one_machine() -> None:
    # Put together here, so that this file does not name them either.
    hosts = [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("crates", "io"),
        ("deb", "debian", "org"),
    ]
    words = [".".join(parts) for parts in hosts] + [f"/{folder}/" for folder in ("work/main", "work/shared", "farm")]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in committed_files()
        if path.suffix not in {".png", ".jpg", ".webp", ".mp4", ".safetensors"}
        for word in words
        if word.encode() in path.read_bytes()
    ]
    assert not found
