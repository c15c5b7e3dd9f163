"""The Lua scripts keep what their headers, keys.py, JobState and the typed wrapper promise."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from services.domain.job import MAX_ATTEMPTS, Discipline, JobState, Priority
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.scheduler import OVERTAKING_SHARE
from services.queue_manager.scripts import LUA, Scripts

SCRIPTS = sorted(LUA.glob("*.lua"))
PIECES = sorted((LUA / "include").glob("*.lua"))
ROOM_ARGUMENTS = 5


def text_without_comments(path: Path) -> str:
    return re.sub(r"--.*", "", path.read_text())


def header(path: Path) -> str:
    lines = path.read_text().splitlines()
    lines = lines[1:] if lines[0].startswith("#!") else lines
    return "\n".join(line for line in lines if line.startswith("--"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_begins_with_its_contract_and_fits_on_a_screen(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert re.fullmatch(r"#!lua( flags=allow-oom)?", lines[0])
    assert lines[1].startswith(f"-- {path.stem}: ")
    assert "-- Returns" in header(path)
    assert len(lines) <= 80
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("path", PIECES, ids=lambda path: path.stem)
def test_a_shared_piece_says_what_it_is(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith(f"-- {path.stem}: ")
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 120


def arguments_in(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"ARGV\[(\d+)", text)}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_header_names_the_arguments_that_the_script_uses_and_the_wrapper_sends(path: Path) -> None:
    named = {number for number in arguments_in(header(path)) if number > ROOM_ARGUMENTS}
    used = {number for number in arguments_in(text_without_comments(path)) if number > ROOM_ARGUMENTS}
    assert named == set(range(ROOM_ARGUMENTS + 1, ROOM_ARGUMENTS + 1 + len(named)))
    # Nonces and idempotency keys of enqueue are counted from the first argument of each job.
    assert used <= named or path.stem == "enqueue"
    wrapper = inspect.signature(getattr(Scripts, path.stem)).parameters
    sent = [name for name in wrapper if name not in ("self", "now", "arrivals")]
    assert len(sent) == len(named)


async def test_every_script_compiles(redis: RedisConnection) -> None:
    for script in Scripts(redis)._scripts.values():
        assert await redis.execute("SCRIPT", "LOAD", script.text) == script.sha.encode()


def quoted(text: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, text))


def test_every_state_in_lua_is_a_state_of_the_domain() -> None:
    states = set(JobState)
    for path in (*SCRIPTS, *PIECES):
        text = text_without_comments(path)
        compared = quoted(text, r"state\s*[=~]=\s*'(\w+)'") | quoted(text, r"'HSET', [^)]*'state', '(\w+)'")
        ended = quoted(text, r"end_job\(.*?, job, '(\w+)'")
        assert compared | ended <= states, path.name


def test_the_numbers_that_lua_repeats_are_those_of_the_domain() -> None:
    everything = "\n".join(path.read_text() for path in (*SCRIPTS, *PIECES))
    assert quoted(everything, r"MAX_ATTEMPTS = (\d+)") == {str(MAX_ATTEMPTS)}
    assert quoted(everything, r"limit = math.floor\((0\.\d+) \*") == {str(OVERTAKING_SHARE)}
    assert quoted(everything, r"discipline\w* [=~]= '(\w+)'") <= set(Discipline)
    assert Priority.NORMAL.rank == 2  # `person.classes` marks jobs of another rank
    assert "rank ~= 2" in everything


def test_keys_py_names_every_key_that_a_script_touches() -> None:
    patterns = {spec.pattern for spec in keys.INVENTORY}
    for path in (*SCRIPTS, *PIECES):
        text = text_without_comments(path)
        families = quoted(text, r"'([a-z-]+):' \.\.")
        single = quoted(text, r"\bcall\('[A-Z]+', '([a-z-]+)'[,)]")
        assert {f"{family}:*" for family in families} <= patterns, path.name
        assert single - {keys.BELL, keys.STOPS} <= patterns, path.name


def test_the_inventory_says_for_every_key_when_it_goes() -> None:
    types = {"string", "hash", "list", "set", "zset", "stream"}
    for spec in keys.INVENTORY:
        assert spec.type in types, spec.pattern
        assert spec.holds, spec.pattern
        assert bool(spec.expires) != bool(spec.goes), spec.pattern
    patterns = [spec.pattern for spec in keys.INVENTORY]
    assert len(patterns) == len(set(patterns))


def test_the_inventory_covers_every_name_that_keys_py_can_make() -> None:
    made: list[Any] = [
        function(*["x"] * len(inspect.signature(function).parameters))
        for name, function in vars(keys).items()
        if inspect.isfunction(function) and function.__module__ == keys.__name__
    ]
    families = {spec.pattern.removesuffix("*") for spec in keys.INVENTORY}
    assert {re.match(r"[a-z-]+:", key).group() for key in made} <= families  # type: ignore[union-attr]
