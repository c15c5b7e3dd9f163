"""Lua scripts as files: shared pieces are put in by `-- include <name>` lines, the server keeps them by digest.

A line `-- include turn` is replaced by `include/turn.lua` beside the script (once in a script, however often it is
named). `LuaScript.run` sends EVALSHA; a Redis that was restarted, and so forgot its scripts, is given the text again.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.kit.redis_connection import Argument, Command, NoScript, RedisConnection

_INCLUDE = re.compile(r"^ *-- include (\w+)$", re.MULTILINE)


def read_script(path: Path) -> str:
    """The text of a script with its included pieces. A first line `#!lua ...` stays the first line."""
    seen: set[str] = set()

    def put_in(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen:
            return ""
        seen.add(name)
        return _INCLUDE.sub(put_in, (path.parent / "include" / f"{name}.lua").read_text())

    return _INCLUDE.sub(put_in, path.read_text())


class LuaScript:
    """One script; stateless, may be shared."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.text = read_script(path)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def command(self, *args: Argument) -> Command:
        """The EVALSHA command, for use inside a pipeline."""
        return ("EVALSHA", self.sha, 0, *args)

    async def run(self, redis: RedisConnection, *args: Argument) -> Any:
        """Run the script, loading it first where Redis does not know it."""
        try:
            return await redis.execute("EVALSHA", self.sha, 0, *args)
        except NoScript:
            await self.load(redis)
            return await redis.execute("EVALSHA", self.sha, 0, *args)

    async def run_after(self, redis: RedisConnection, commands: Sequence[Command], *args: Argument) -> Any:
        """Run the script right behind some commands, in one round trip; their errors are raised first."""
        replies = await redis.pipeline([*commands, self.command(*args)])
        for reply in replies[:-1]:
            if isinstance(reply, Exception):
                raise reply
        if isinstance(replies[-1], NoScript):
            return await self.run(redis, *args)
        if isinstance(replies[-1], Exception):
            raise replies[-1]
        return replies[-1]

    async def load(self, redis: RedisConnection) -> None:
        """Hand the text to Redis."""
        await redis.execute("SCRIPT", "LOAD", self.text)
