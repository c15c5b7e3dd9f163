"""What the queue remembers of workers: who offers what, and for how long after they were last heard of."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.domain.errors import InvalidInput
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.catalogue_store import ABSENT_MS, CatalogueStore

DAY = ABSENT_MS


def _body(*classes: str) -> bytes:
    entry: dict[str, Any] = {"input": {"required": {}}, "output": ["IMAGE"]}
    return json.dumps(dict.fromkeys(classes, entry)).encode()


async def _publish(store: CatalogueStore, worker: str, body: bytes, now: int) -> bool:
    """Register and send the catalogue if it is asked for; answers whether it was."""
    needed = await store.register(worker, sha256(body).hexdigest(), {}, now)
    if needed:
        await store.store(worker, body, now)
    return needed


@pytest.fixture
def store(redis: RedisConnection, tmp_path: Path) -> CatalogueStore:
    return CatalogueStore(redis, tmp_path / "catalogues")


async def test_a_catalogue_that_is_known_is_not_asked_for_again(store: CatalogueStore) -> None:
    assert await _publish(store, "gpu-1", _body("A"), 1)
    assert not await _publish(store, "gpu-2", _body("A"), 2)
    assert not await _publish(store, "gpu-1", _body("A"), 3)
    assert store.known.profile_of_worker["gpu-1"] == store.known.profile_of_worker["gpu-2"]
    assert len(store.known.profiles) == 1


async def test_a_worker_that_comes_back_with_other_nodes_replaces_its_old_ones(store: CatalogueStore) -> None:
    await _publish(store, "gpu-1", _body("A"), 1)
    await _publish(store, "gpu-1", _body("B"), 2)
    assert set(store.known.object_info) == {"B"}


async def test_another_process_takes_over_what_this_one_learned(
    store: CatalogueStore, redis: RedisConnection, tmp_path: Path
) -> None:
    other = CatalogueStore(redis, tmp_path / "catalogues")
    assert not await other.refresh() or other.known.index is None
    await _publish(store, "gpu-1", _body("A"), 1)
    assert await other.refresh()
    assert not await other.refresh()
    assert other.known.etag == store.known.etag


async def test_a_worker_that_left_is_remembered_for_a_day_and_as_long_as_nobody_else_came(
    store: CatalogueStore,
) -> None:
    await _publish(store, "gone", _body("A"), 1)
    await _publish(store, "gpu-1", _body("B"), DAY)
    assert set(store.known.object_info) == {"A", "B"}
    await _publish(store, "gpu-1", _body("B"), DAY + 2)
    assert set(store.known.object_info) == {"B"}


async def test_a_worker_that_runs_for_days_is_not_forgotten(store: CatalogueStore, redis: RedisConnection) -> None:
    await _publish(store, "busy", _body("A"), 1)
    await redis.execute("HSET", keys.WORKERS_SEEN, "busy", 3 * DAY)
    await _publish(store, "gpu-1", _body("B"), 3 * DAY)
    assert set(store.known.object_info) == {"A", "B"}


async def test_workers_with_different_input_files_are_of_one_kind(store: CatalogueStore) -> None:
    for number, worker in enumerate(("gpu-1", "gpu-2")):
        load = {"input": {"required": {"image": [[f"{worker}.png"], {"image_upload": True}]}}, "output": []}
        await _publish(store, worker, json.dumps({"LoadImage": load}).encode(), number + 1)
    assert len(store.known.profiles) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"A": 1}', b"{", b"\xff", b"[" * 100_000])
async def test_what_is_no_catalogue_is_refused_and_changes_nothing(store: CatalogueStore, body: bytes) -> None:
    await store.register("gpu-1", sha256(body).hexdigest(), {}, 1)
    with pytest.raises(InvalidInput):
        await store.store("gpu-1", body, 1)
    assert store.known.index is None


async def test_a_catalogue_whose_file_is_gone_is_asked_for_again(store: CatalogueStore, tmp_path: Path) -> None:
    await _publish(store, "gpu-1", _body("A"), 1)
    for path in list((tmp_path / "catalogues").glob("*.json")):
        path.unlink()
    assert await _publish(store, "gpu-1", _body("A"), 2)
