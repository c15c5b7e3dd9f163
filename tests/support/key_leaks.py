"""Looks for keys that would live for ever, or that nobody has named."""

from fnmatch import fnmatchcase
from typing import Any

from services.queue_manager.keys import INVENTORY, KeySpec


def spec_of(key: str) -> KeySpec | None:
    """The entry of the inventory that covers a key."""
    return next((spec for spec in INVENTORY if fnmatchcase(key, spec.pattern)), None)


def leaked_keys(client: Any) -> list[str]:
    """One line for each key that is unknown, has another type than keys.py says, or lacks its expiry.

    Jobs and workflows get their expiry at the job's end, so those of waiting and running jobs have none.
    """
    complaints = []
    found = sorted(client.scan_iter(count=1000))
    for start in range(0, len(found), 1000):
        page = found[start : start + 1000]
        with client.pipeline(transaction=False) as pipeline:
            for key in page:
                pipeline.type(key).ttl(key)
            answers = pipeline.execute()
        complaints += [_complaint(client, *facts) for facts in zip(page, answers[::2], answers[1::2], strict=True)]
    return [complaint for complaint in complaints if complaint]


def _complaint(client: Any, key: str, kind: str, ttl: int) -> str:
    spec = spec_of(key)
    if spec is None:
        return f"{key}: not in keys.INVENTORY"
    if kind not in (spec.type, "none"):  # "none": it has expired meanwhile
        return f"{key}: is a {kind}, keys.INVENTORY says {spec.type}"
    if spec.expires is not None and ttl == -1 and not _is_live(client, key):
        return f"{key}: has no expiry, keys.INVENTORY says {spec.expires}"
    return ""


def _is_live(client: Any, key: str) -> bool:
    family, _, name = key.partition(":")
    return family in ("job", "workflow") and client.hget(f"job:{name}", "state") in ("queued", "running")
