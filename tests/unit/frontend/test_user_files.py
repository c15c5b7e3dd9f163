"""A participant's own folder: names stay inside, writes are whole, the quota warns before it refuses."""

from pathlib import Path

import pytest

from services.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, StorageFull
from services.frontend.user_files import BLOCK_BYTES, UserFiles

MEGABYTE = 2**20


@pytest.fixture
def files(tmp_path: Path) -> UserFiles:
    (tmp_path / "secret.txt").write_text("somebody else's")
    return UserFiles(tmp_path / "user", quota_bytes=MEGABYTE)


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "workflows/../../secret.txt", "%2e%2e/secret.txt", "..%2Fsecret.txt", "/etc/passwd", "a\\..\\b"],
)
def test_a_name_that_leads_out_is_refused(files: UserFiles, name: str) -> None:
    with pytest.raises(Forbidden):
        files.path_of(name)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300, "/".join("a" * 40)])
def test_a_name_that_cannot_be_a_files_is_refused(files: UserFiles, name: str) -> None:
    with pytest.raises(InvalidInput):
        files.path_of(name)


def test_a_link_is_not_followed(files: UserFiles, tmp_path: Path) -> None:
    (tmp_path / "user" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "user" / "door").symlink_to(tmp_path)
    for name in ("link.txt", "door/secret.txt"):
        with pytest.raises(Forbidden):
            files.existing(name)
    assert files.list(".", recurse=True) == []


def test_an_encoded_slash_is_a_folder(files: UserFiles) -> None:
    files.write("workflows%2Fsub%2Fa.json", b"{}")
    assert [file.path for file in files.list("workflows", recurse=True)] == ["sub/a.json"]


def test_overwriting_has_to_be_allowed(files: UserFiles) -> None:
    files.write("a.json", b"1")
    with pytest.raises(Conflict):
        files.write("a.json", b"2", overwrite=False)
    assert files.existing("a.json").read_bytes() == b"1"


def test_a_full_folder_refuses_and_keeps_what_was_there(files: UserFiles) -> None:
    files.write("a.json", b"old")
    with pytest.raises(StorageFull):
        files.write("a.json", b"x" * (MEGABYTE + 1))
    assert files.existing("a.json").read_bytes() == b"old"


def test_the_warning_comes_before_the_refusal(files: UserFiles) -> None:
    assert files.warning() is None
    files.write("a.json", b"x" * (MEGABYTE * 95 // 100))
    assert "1 of 1 MB" in (files.warning() or "")


def test_replacing_a_large_file_counts_its_own_room(files: UserFiles) -> None:
    files.write("a.json", b"x" * (MEGABYTE * 9 // 10))
    files.write("a.json", b"y" * (MEGABYTE * 9 // 10))
    assert files.existing("a.json").read_bytes()[:1] == b"y"


def test_moving_makes_the_folder_and_does_not_overwrite(files: UserFiles) -> None:
    files.write("a.json", b"1")
    files.write("b.json", b"2")
    with pytest.raises(Conflict):
        files.move("a.json", "b.json")
    assert files.move("a.json", "sub/c.json").read_bytes() == b"1"
    with pytest.raises(NotFound):
        files.existing("a.json")


def test_a_folder_that_is_a_file_is_refused(files: UserFiles) -> None:
    files.write("one.json", b"{}")
    files.write("two.json", b"{}")
    with pytest.raises(Conflict):
        files.write("one.json/inside.json", b"{}")
    with pytest.raises(Conflict):
        files.move("two.json", "one.json/inside.json")


def test_an_empty_file_takes_a_block_of_the_quota(tmp_path: Path) -> None:
    files = UserFiles(tmp_path, 2 * BLOCK_BYTES)
    files.write("one", b"")
    files.write("two", b"")
    files.write("two", b"again")
    with pytest.raises(StorageFull):
        files.write("three", b"")


def test_a_path_longer_than_any_disk_takes_is_refused(files: UserFiles) -> None:
    with pytest.raises(InvalidInput):
        files.path_of("/".join(["n" * 250] * 15))
