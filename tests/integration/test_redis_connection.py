"""The connection to Redis under fire: many callers, restarts, refusals, a full store."""

import asyncio
from pathlib import Path

import pytest

from services.domain.errors import StorageFull, Unavailable
from services.kit.lua import LuaScript
from services.kit.redis_connection import RedisConnection, RedisReplyError
from services.queue_manager.repository import JobRepository
from services.queue_manager.scripts import Scripts
from tests.support.ports import free_port
from tests.support.queue_room import Room
from tests.support.redis_server import RedisServer


async def test_a_thousand_callers_at_once_each_get_their_own_answer(redis: RedisConnection) -> None:
    async def ask(number: int) -> None:
        assert await redis.execute("ECHO", str(number)) == str(number).encode()
        assert await redis.pipeline([("ECHO", "a"), ("ECHO", str(number))]) == [b"a", str(number).encode()]

    await asyncio.gather(*map(ask, range(1000)))


async def test_a_caller_who_gives_up_leaves_the_others_their_answers(redis: RedisConnection) -> None:
    await redis.ping()
    impatient = asyncio.create_task(redis.execute("ECHO", "mine"))
    await asyncio.sleep(0)
    others = [asyncio.create_task(redis.execute("ECHO", str(number))) for number in range(10)]
    impatient.cancel()
    assert await asyncio.gather(*others) == [str(number).encode() for number in range(10)]


async def test_an_error_reply_is_raised_or_put_in_its_place_of_a_pipeline(redis: RedisConnection) -> None:
    with pytest.raises(RedisReplyError, match="ERR"):
        await redis.execute("NOSUCHCOMMAND")
    first, second, third = await redis.pipeline([("ECHO", "1"), ("NOSUCHCOMMAND",), ("ECHO", "3")])
    assert (first, third) == (b"1", b"3")
    assert isinstance(second, RedisReplyError)


async def test_without_redis_a_call_says_so_in_one_sentence() -> None:
    connection = RedisConnection(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable, match="does not answer at the moment"):
        await connection.ping()


async def test_a_password_is_used_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    with RedisServer(tmp_path, password="open sesame".replace(" ", "-")) as server:
        right = RedisConnection(server.url)
        await right.execute("SET", "key", "value", "EX", 60)
        assert await right.execute("GET", "key") == b"value"
        wrong = RedisConnection(server.url.replace("sesame", "barley"))
        with pytest.raises(Unavailable, match="refuses to sign us in") as refused:
            await wrong.ping()
        assert "barley" not in str(refused.value)
        await right.close()
        await wrong.close()


async def test_another_database_number_is_another_room(redis: RedisConnection, redis_server: RedisServer) -> None:
    await redis.execute("SET", "submit:here", "1", "EX", 60)
    other = RedisConnection(redis_server.url.removesuffix("/0") + "/1")
    assert await other.execute("GET", "submit:here") is None
    await other.close()


@pytest.mark.slow
async def test_after_a_crash_of_redis_calls_work_again_and_nothing_is_lost(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        connection = RedisConnection(server.url)
        room = Room(JobRepository(connection, Scripts(connection)))
        await room.send("a", 3)
        job = await room.take() or ""
        await connection.execute("CONFIG", "SET", "appendfsync", "always")
        await room.send("a", 1)
        under_way = asyncio.create_task(connection.execute("BLPOP", "nothing", 0))
        await asyncio.sleep(0)
        server.kill()
        with pytest.raises(Unavailable):
            await under_way
        with pytest.raises(Unavailable):
            await connection.ping()
        server.start()
        assert await room.finish(job) == "succeeded"  # the scripts are loaded again by themselves
        assert await room.run_all() == ["A2", "A3", "A4"]
        await connection.close()


@pytest.mark.slow
async def test_a_full_redis_refuses_new_jobs_and_lets_running_ones_end(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--maxmemory-policy", "noeviction") as server, server.client() as client:
        connection = RedisConnection(server.url)
        room = Room(JobRepository(connection, Scripts(connection)))
        await room.send("a", 3)
        running = await room.take() or ""
        client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
        with pytest.raises(StorageFull, match="store is full"):
            await room.send("b", 1, workflow=b"x" * 50_000)
        with pytest.raises(StorageFull):
            await room.jobs.enqueue_batch([room.new_job("b") for _ in range(3)], room.now)
        assert (await room.jobs.extend_lease(running, room.token(running), room.now, 1000)).stop is None
        assert await room.finish(running) == "succeeded"
        assert len(await room.run_all()) == 2
        client.config_set("maxmemory", 0)
        assert (await room.jobs.participant_counts("b", room.now)).waiting == 0
        await room.send("b")
        assert await room.run_all() == ["B1"]
        await connection.close()


async def test_a_script_that_redis_forgot_is_loaded_again_also_behind_other_commands(
    redis: RedisConnection, tmp_path: Path
) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "twice.lua").write_text("local function twice(n) return 2 * n end\n")
    path = tmp_path / "double.lua"
    path.write_text("#!lua\n-- include twice\n-- include twice\nreturn twice(tonumber(ARGV[1]))\n")
    script = LuaScript(path)
    assert script.text.count("local function twice") == 1
    assert await script.run(redis, 21) == 42
    await redis.execute("SCRIPT", "FLUSH")
    assert await script.run_after(redis, [("ECHO", "x")], 4) == 8
    with pytest.raises(RedisReplyError):
        await script.run_after(redis, [("NOSUCHCOMMAND",)], 4)
