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
    for key in sorted(client.scan_iter(count=1000)):
        spec = spec_of(key)
        if spec is None:
            complaints.append(f"{key}: not in keys.INVENTORY")
        elif (kind := client.type(key)) != spec.type:
            complaints.append(f"{key}: is a {kind}, keys.INVENTORY says {spec.type}")
        elif spec.expires is not None and client.ttl(key) == -1 and not _is_live(client, key):
            complaints.append(f"{key}: has no expiry, keys.INVENTORY says {spec.expires}")
    return complaints


def _is_live(client: Any, key: str) -> bool:
    family, _, name = key.partition(":")
    return family in ("job", "workflow") and client.hget(f"job:{name}", "state") in ("queued", "running")
