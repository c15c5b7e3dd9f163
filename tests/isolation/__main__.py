"""`python -m tests.isolation`: every ordered pair of twenty participants, every address, every socket."""

import asyncio
import sys
import tempfile
from itertools import permutations
from pathlib import Path

from tests.isolation.sweep import furnished, listen_to_everybody
from tests.support.workshop_room import Workshop, workshop_room

PARTICIPANTS = 20
NAMES_EACH = 2
"""With how many of the names each address is tried for one pair; over all pairs every address meets every name."""


async def try_all(workshop: Workshop, folder: Path) -> list[str]:
    """Everybody against everybody; gives what went wrong."""
    complaints: list[str] = []
    async with furnished(workshop, folder) as room:
        pairs = list(permutations(room.people.values(), 2))
        for turn, (attacker, victim) in enumerate(pairs):
            complaints += await room.try_pair(attacker, victim, turn, NAMES_EACH)
            print(f"\r{turn + 1} of {len(pairs)} pairs, {room.requests} requests, {len(complaints)} wrong", end="")
        complaints += await listen_to_everybody(room)
    print("\nevery socket listened to")
    return complaints


def main() -> None:
    """Run, and end with status 1 when anybody got at anybody else's things."""
    names = tuple(f"user{number:03}" for number in range(1, PARTICIPANTS + 1))
    with tempfile.TemporaryDirectory() as folder, workshop_room(Path(folder), names) as workshop:
        (Path(folder) / "addresses").mkdir()
        complaints = asyncio.run(try_all(workshop, Path(folder) / "addresses"))
    for complaint in complaints[:50]:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
