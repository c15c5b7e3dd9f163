"""Shell text against hostile values, run by a real shell: what goes in comes out, and nothing else happens."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.remote.shell import (
    LONGEST_SCRIPT,
    checked_mode,
    checked_name,
    checked_owner,
    checked_path,
    heredoc,
    put_text,
    quote,
    script,
)
from services.domain.errors import InvalidInput

OWNER = f"{os.getuid()}:{os.getgid()}"
HOSTILE = (
    "", " ", "'", '"', "\\", "$HOME", "$(touch owned)", "`touch owned`", "a;touch owned", "a\ntouch owned\n", "-rf",
    "*", "END", "'\"'\"'", "!x", "ümlaut ✓", "\t", "#", "%s%n", "a'$(touch owned)'b",
)  # fmt: skip
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=60)


def sh(text: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a text as a machine would."""
    return subprocess.run(
        ["sh", "-c", text], cwd=folder, input=stdin, text=True, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize("value", HOSTILE)
def test_a_quoted_value_arrives_as_it_is(value: str, tmp_path: Path) -> None:
    done = sh(f"printf %s {quote(value)}", tmp_path)

    assert (done.returncode, done.stdout) == (0, value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", HOSTILE[1:])
def test_a_here_document_arrives_as_it_is(value: str, tmp_path: Path) -> None:
    done = sh(heredoc("cat", value), tmp_path)

    assert done.stdout == value.removesuffix("\n") + "\n"
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(value=TEXT)
def test_any_text_survives_quoting_and_here_documents(value: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {quote(value)}\n{heredoc('cat', value)}"],
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.decode() == f"{value}\n{value.removesuffix(chr(10))}\n"


def test_a_nul_character_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        quote("a\0b")
    with pytest.raises(InvalidInput, match="NUL"):
        heredoc("cat", "a\0b")


def test_a_file_is_put_in_place_once(tmp_path: Path) -> None:
    text = script("try", put_text(str(tmp_path / "file"), "one\n", mode="0640", owner=OWNER))

    first, second = sh(text, tmp_path), sh(text, tmp_path)

    assert first.stdout == f"try: changed ({tmp_path}/file)\n"
    assert second.stdout == "try: unchanged\n"
    assert (tmp_path / "file").read_text() == "one\n"
    assert oct((tmp_path / "file").stat().st_mode & 0o7777) == "0o640"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_another_mode_alone_is_a_change(tmp_path: Path) -> None:
    sh(script("try", put_text(str(tmp_path / "file"), "one\n", owner=OWNER)), tmp_path)

    again = sh(script("try", put_text(str(tmp_path / "file"), "one\n", mode="0600", owner=OWNER)), tmp_path)

    assert "changed" in again.stdout
    assert oct((tmp_path / "file").stat().st_mode & 0o7777) == "0o600"


def test_nothing_on_standard_input_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    text = script("try", f"put_file {tmp_path}/file 0600 {OWNER}\n", reads_stdin=True)

    done = sh(text, tmp_path)

    assert done.returncode == 1
    assert "nothing arrived" in done.stderr
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_part_of_the_content_is_refused_by_its_checksum(tmp_path: Path) -> None:
    whole = hashlib.sha256(b"whole content").hexdigest()
    text = script("try", f"put_file {tmp_path}/file 0600 {OWNER} {whole}\n", reads_stdin=True)

    broken, complete = sh(text, tmp_path, "whole con"), sh(text, tmp_path, "whole content")

    assert (broken.returncode, complete.returncode) == (1, 0)
    assert "only a part" in broken.stderr
    assert (tmp_path / "file").read_text() == "whole content"


def test_an_empty_directory_where_a_file_is_due_makes_way_and_a_full_one_stays(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()

    empty = sh(script("try", put_text(f"{tmp_path}/empty", "x", owner=OWNER)), tmp_path)
    full = sh(script("try", put_text(f"{tmp_path}/full", "x", owner=OWNER)), tmp_path)

    assert (tmp_path / "empty").is_file(), empty.stderr
    assert full.returncode == 1
    assert "is a directory with something in it" in full.stderr
    assert (tmp_path / "full" / "something").exists()


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("other")
    (tmp_path / "link").symlink_to(tmp_path / "target")

    sh(script("try", put_text(f"{tmp_path}/link", "mine", owner=OWNER)), tmp_path)

    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "other"


def test_an_error_in_the_middle_ends_the_script_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    done = sh(script("try", f"put_file {tmp_path}/x 0600 nobody-there:none\necho unreachable\n", reads_stdin=True),
              tmp_path, "content")  # fmt: skip

    assert done.returncode != 0
    assert "unreachable" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_no_machine_would_take_is_refused() -> None:
    with pytest.raises(InvalidInput, match="longer than"):
        script("try", "x" * LONGEST_SCRIPT)


@pytest.mark.parametrize("path", ["", "relative", "/a/../etc/passwd", "/a\nb", "../x"])
def test_a_path_that_leaves_its_place_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="path is"):
        checked_path(path)


@pytest.mark.parametrize("mode", ["", "644", "0999", "u+x", "0644 ", "07777"])
def test_a_mode_is_four_octal_digits(mode: str) -> None:
    with pytest.raises(InvalidInput, match="mode is"):
        checked_mode(mode)


@pytest.mark.parametrize("owner", ["", "root", "root:", "a:b:c", "root:root;id", "-R:root", "$x:y"])
def test_an_owner_is_user_and_group(owner: str) -> None:
    with pytest.raises(InvalidInput, match="owner is"):
        checked_owner(owner)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a;b", "a\n", "ä", "$(id)"])
def test_a_name_is_no_option_and_no_command(name: str) -> None:
    with pytest.raises(InvalidInput):
        checked_name(name, "a package")
