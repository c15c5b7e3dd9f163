"""One at a time, across processes: what all rehearsals of this user share is made by one of them."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from infra.rehearsal.caches import cache_folder


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Wait until nobody else is inside for this name; not to be entered twice by one caller."""
    file = cache_folder("locks") / hashlib.sha256(name.encode()).hexdigest()[:16]
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
