"""Writing files: whole or not at all, whatever goes wrong on the way."""

import os
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from services.domain.errors import PayloadTooLarge, StorageFull
from services.queue_manager.files import disk

PART = b"x" * 100_000


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def _parts(count: int, error: Exception | None = None) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PART
    if error is not None:
        raise error


async def test_a_stream_arrives_whole_with_its_size_and_digest(tmp_path: Path) -> None:
    received = await disk.receive(_parts(25), tmp_path / "new", limit=10_000_000)
    assert received.size == 2_500_000
    assert received.sha256 == sha256(PART * 25).hexdigest()
    disk.keep(received, tmp_path / "kept" / "file")
    assert (tmp_path / "kept" / "file").read_bytes() == PART * 25
    assert _names(tmp_path / "new") == []


async def test_an_empty_stream_is_an_empty_file(tmp_path: Path) -> None:
    received = await disk.receive(_parts(0), tmp_path, limit=1)
    assert (received.size, received.path.read_bytes()) == (0, b"")


async def test_a_stream_above_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    taken = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal taken
        async for part in _parts(1000):
            taken += len(part)
            yield part

    with pytest.raises(PayloadTooLarge, match=r"larger than the 2\.0 MiB"):
        await disk.receive(parts(), tmp_path, limit=2 << 20)
    assert taken < 4 << 20
    assert _names(tmp_path) == []


async def test_an_announced_size_above_the_limit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PayloadTooLarge):
        await disk.receive(_parts(1), tmp_path / "never", limit=10, announced=11)
    assert not (tmp_path / "never").exists()


async def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        await disk.receive(_parts(30, ConnectionResetError()), tmp_path, limit=10_000_000)
    assert _names(tmp_path) == []


async def test_a_disk_without_room_is_said_so_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RESERVE", 1 << 62)
    with pytest.raises(StorageFull, match="not enough room"):
        await disk.receive(_parts(1), tmp_path, limit=10_000_000)
    with pytest.raises(StorageFull):
        disk.write_file(tmp_path / "file", b"x")
    assert _names(tmp_path) == []


def test_a_small_file_replaces_the_one_before(tmp_path: Path) -> None:
    disk.write_file(tmp_path / "file", b"old")
    disk.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert _names(tmp_path) == ["file"]


def test_only_abandoned_pieces_are_swept_away(tmp_path: Path) -> None:
    for name, age in ((".part-old", 7200), (".part-new", 0), ("file", 7200)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    disk.sweep_temporary(tmp_path)
    assert _names(tmp_path) == [".part-new", "file"]
