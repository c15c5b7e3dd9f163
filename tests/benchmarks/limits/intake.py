"""What both submitting limits share: the envelope cut open, the body stored as it came, one script for the rest."""

import time
import uuid
from pathlib import Path

import msgspec

ENQUEUE = (Path(__file__).parent / "enqueue.lua").read_bytes()


class Envelope(msgspec.Struct):
    """A submit's body; the workflow stays bytes."""

    workflow: msgspec.Raw


decode = msgspec.json.Decoder(Envelope).decode


def keys_of(job: str, owner: str) -> list[str]:
    """The keys of `enqueue.lua`, in its order."""
    return [f"limit:job:{job}", f"limit:line:{owner}", "limit:round", f"limit:count:{owner}"]


def new_id() -> str:
    return str(uuid.uuid4())


def now_ms() -> int:
    return time.time_ns() // 1_000_000
