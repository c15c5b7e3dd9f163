"""Records the scenarios: `python -m tests.golden.recorder http://127.0.0.1:8188 [folder [scenario ...]]`.

Without a folder the golden recordings themselves are written again, which is right only for a real ComfyUI.
"""

import asyncio
import sys
from pathlib import Path

from tests.golden.driver import Recording, Session, save
from tests.golden.scenarios import SCENARIOS

RECORDINGS = Path(__file__).parent / "recordings"


async def record(base: str, name: str) -> Recording:
    """Play one scenario against the server at `base`."""
    async with Session(base, name) as session:
        await SCENARIOS[name](session)
        return session.recording


async def main(base: str, folder: Path, names: list[str]) -> None:
    """Play the named scenarios one after the other and keep what was heard."""
    for name in names:
        print(name, flush=True)
        save(await record(base, name), folder, name)


if __name__ == "__main__":
    _, base, *rest = sys.argv
    asyncio.run(main(base, Path(rest[0]) if rest else RECORDINGS, rest[1:] or list(SCENARIOS)))
