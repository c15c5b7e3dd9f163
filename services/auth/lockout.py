"""Refuses further tries after too many wrong passwords.

Failures count for a name *from one address*: somebody who guesses at another's password locks out himself, not her.
"""

from collections import OrderedDict, deque

TRACKED_PAIRS = 10_000
"""More pairs of name and address than this are never remembered; the oldest go first, so memory stays bounded."""


class Lockout:
    """A sliding window of failures for each (name, address)."""

    def __init__(self, allowed: int, window_seconds: float) -> None:
        self._allowed = allowed
        self._window = window_seconds
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_seconds(self, name: str, address: str, now: float) -> float:
        """How long this pair has to wait before the next try is looked at; 0 when it may try at once."""
        failures = self._recent(name, address, now)
        if failures is None or len(failures) < self._allowed:
            return 0.0
        return failures[-self._allowed] + self._window - now

    def failed(self, name: str, address: str, now: float) -> None:
        """Note one wrong password at `now` (monotonic seconds)."""
        failures = self._failures.setdefault((name, address), deque(maxlen=self._allowed))
        failures.append(now)
        self._failures.move_to_end((name, address))
        while len(self._failures) > TRACKED_PAIRS:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of somebody who got in."""
        self._failures.pop((name, address), None)

    def _recent(self, name: str, address: str, now: float) -> deque[float] | None:
        failures = self._failures.get((name, address))
        if failures is None:
            return None
        while failures and failures[0] <= now - self._window:
            failures.popleft()
        if not failures:
            del self._failures[(name, address)]
            return None
        return failures
