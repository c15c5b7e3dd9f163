"""Records the scenarios: `python -m tests.golden.recorder http://127.0.0.1:8188 [folder [scenario ...]]`.

Without a folder the golden recordings themselves are written again, which is right only for a real ComfyUI.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.golden.driver import Recording, Session, save
from tests.golden.scenarios import SCENARIOS
from tests.golden.scenarios.refusals import class_types

RECORDINGS = Path(__file__).parent / "recordings"


async def record(base: str, name: str) -> Recording:
    """Play one scenario against the server at `base`."""
    async with Session(base, name) as session:
        await SCENARIOS[name](session)
        return session.recording


async def read_catalogue(base: str) -> dict[str, Any]:
    """What the server says about the classes of the refused graphs, without the help texts."""
    entries: dict[str, Any] = {}
    async with aiohttp.ClientSession(base) as session:
        for class_type in class_types():
            async with session.get(f"/object_info/{class_type}") as answer:
                entries |= await answer.json()
    for entry in entries.values():
        for words in ("description", "search_aliases", "essentials_category", "output_tooltips"):
            entry.pop(words, None)
    return entries


def write_catalogue(entries: dict[str, Any], folder: Path) -> None:
    """Write `catalogue.json`, one class a line."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


async def main(base: str, folder: Path, names: list[str]) -> None:
    """Play the named scenarios one after the other and keep what was heard."""
    write_catalogue(await read_catalogue(base), folder.parent)  # before any file is uploaded and listed
    for name in names:
        print(name, flush=True)
        save(await record(base, name), folder, name)


if __name__ == "__main__":
    _, base, *rest = sys.argv
    asyncio.run(main(base, Path(rest[0]) if rest else RECORDINGS, rest[1:] or list(SCENARIOS)))
