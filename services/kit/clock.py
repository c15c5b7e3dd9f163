"""The time of day, as the whole project counts it: unix milliseconds. Everything below the routes takes it as `now`."""

import time


def now_ms() -> int:
    """Unix milliseconds, now."""
    return time.time_ns() // 1_000_000
