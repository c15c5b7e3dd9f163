"""Pools: which jobs wait for which set of worker profiles, and moving them when workers come with other nodes."""

from services.queue_manager import keys
from services.queue_manager.repository.base import Base


class Pools(Base):
    """Who decides which pool a job belongs to is `pooling`; here they are listed and moved."""

    async def pools(self) -> list[str]:
        """Pools in which somebody waited lately; some of them may be empty."""
        return sorted(name.decode() for name in await self._redis.execute("SMEMBERS", keys.POOLS))

    async def waiting_in_pool(self, pool: str, limit: int = 500, after: str = "") -> tuple[list[str], str | None]:
        """Ids of a pool's waiting jobs in pages of whole lines, and the cursor of the next page (a participant).

        Pages follow the participants' names as they stand in `turns`; a job that arrives meanwhile may be missed.
        """
        people = await self._redis.execute("ZSCAN", keys.turns(pool), after or 0, "COUNT", max(1, limit // 32))
        cursor, members = people[0].decode(), people[1][::2]
        lines = [("ZRANGE", keys.line(pool, name.decode()), 0, -1) for name in members if not name.startswith(b"!")]
        ids: list[str] = []
        for reply in await self._redis.pipeline(lines):
            if isinstance(reply, Exception):
                raise reply
            ids += [job_id.decode() for job_id in reply]
        return ids, None if cursor == "0" else cursor

    async def move_to_pool(self, job_id: str, pool: str, now: int) -> bool:
        """Let a waiting job wait in another pool, at the same place of its line; False when it does not wait."""
        return await self._scripts.move_to_pool(now, job_id, pool) == 1
