"""The Lua scripts as typed functions: one method a script, arguments in the order of the script's header.

It knows how to call; what the answers mean is the repository's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kit.lua import LuaScript
from services.kit.redis_connection import Argument, Command, RedisConnection

LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True)
class Limits:
    """What holds for every script unless the instructor has set something else."""

    waiting_cap: int = 32
    running_cap: int = 1
    keep_ended_ms: int = 7 * 24 * 3600 * 1000
    events_length: int = 1000


class Scripts:
    """All scripts of `lua/`, bound to one Redis."""

    def __init__(self, redis: RedisConnection, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._redis = redis
        self._scripts = {path.stem: LuaScript(path) for path in sorted(LUA.glob("*.lua"))}

    def _room(self, now: int) -> tuple[Argument, ...]:
        """ARGV[1..5] of every script (see `include/room.lua`)."""
        limits = self.limits
        return now, limits.waiting_cap, limits.running_cap, limits.keep_ended_ms, limits.events_length

    async def _run(self, name: str, now: int, *args: Argument) -> Any:
        return await self._scripts[name].run(self._redis, *self._room(now), *args)

    async def enqueue(
        self, now: int, arrivals: Sequence[Command], participant: str, submit_ms: int, jobs: Sequence[Argument]
    ) -> Any:
        """`arrivals`: the commands that SET the workflows, sent in the same piece; `jobs`: nine values for each."""
        script = self._scripts["enqueue"]
        return await script.run_after(self._redis, arrivals, *self._room(now), participant, submit_ms, *jobs)

    async def lease(
        self, now: int, worker: str, loaded_model: str, token: str, lease_ms: int, pools: Sequence[str]
    ) -> list[Any] | None:
        """The next job, or None."""
        answer: list[Any] | None = await self._run("lease", now, worker, loaded_model, token, lease_ms, *pools)
        return answer

    async def extend_lease(self, now: int, job_id: str, token: str, lease_ms: int) -> list[Any] | int:
        """New expiry and whether to stop, or -1."""
        answer: list[Any] | int = await self._run("extend_lease", now, job_id, token, lease_ms)
        return answer

    async def complete(
        self, now: int, job_id: str, token: str, run_ms: int, outputs: bytes, executed: bytes, cached_nodes: bytes
    ) -> list[Any]:
        """Code and state."""
        answer: list[Any] = await self._run("complete", now, job_id, token, run_ms, outputs, executed, cached_nodes)
        return answer

    async def release(self, now: int, job_id: str, token: str, outcome: str, error: bytes, reason: str) -> list[Any]:
        """Code and state."""
        answer: list[Any] = await self._run("release", now, job_id, token, outcome, error, reason)
        return answer

    async def reap(self, now: int, limit: int, error: bytes) -> list[bytes]:
        """Ids of the jobs taken back."""
        answer: list[bytes] = await self._run("reap", now, limit, error)
        return answer

    async def cancel(self, now: int, job_id: str) -> bytes | int:
        """The state afterwards, or -1."""
        answer: bytes | int = await self._run("cancel", now, job_id)
        return answer

    async def preempt(self, now: int, job_id: str) -> int:
        """1, 0 or -1."""
        return int(await self._run("preempt", now, job_id))

    async def requeue(self, now: int, arrivals: Sequence[Command], job_id: str, nonce: str) -> int:
        """1, 0, -1, -2 or -3."""
        script = self._scripts["requeue"]
        return int(await script.run_after(self._redis, arrivals, *self._room(now), job_id, nonce))

    async def run_next(self, now: int, job_id: str) -> int:
        """1, 0 or -1."""
        return int(await self._run("run_next", now, job_id))

    async def set_priority(self, now: int, job_id: str, rank: int, name: str) -> int:
        """1, 0 or -1."""
        return int(await self._run("set_priority", now, job_id, rank, name))

    async def move_to_pool(self, now: int, job_id: str, pool: str) -> int:
        """1 or 0."""
        return int(await self._run("move_to_pool", now, job_id, pool))

    async def set_room(self, now: int, new_session: bool, *fields_and_values: Argument) -> int:
        """How many turns were brought up to date."""
        return int(await self._run("set_room", now, int(new_session), *fields_and_values))

    async def set_caps(self, now: int, participant: str, *fields_and_values: Argument) -> None:
        """Always succeeds."""
        await self._run("set_caps", now, participant, *fields_and_values)

    async def forget(self, job_id: str, participant: str = "") -> int:
        """1, 0 or -1."""
        return int(await self._run("forget", 0, job_id, participant))

    async def strip(self, job_id: str, participant: str) -> int:
        """1 or 0."""
        return int(await self._run("strip", 0, job_id, participant))

    async def leave(self, participant: str) -> None:
        """Always succeeds."""
        await self._run("leave", 0, participant)

    async def take_credential(self, now: int, field: str, before: str, sha256: str, record: str) -> bool:
        """Whether this process carried the change out."""
        return bool(await self._run("take_credential", now, field, before, sha256, record))

    async def place(self, now: int, job_id: str) -> list[Any] | None:
        """Pool, jobs ahead, capped, first, owner's kind of job; None when it does not wait."""
        answer: list[Any] | None = await self._run("place", now, job_id)
        return answer
