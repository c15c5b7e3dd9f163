"""The lock-out counts wrong passwords for a name from one address, over a sliding minute."""

from services.auth.lockout import TRACKED_PAIRS, Lockout


def _after_failures(count: int) -> Lockout:
    lockout = Lockout(allowed=5, window_seconds=60)
    for second in range(count):
        lockout.failed("anna", "10.0.0.1", float(second))
    return lockout


def test_four_failures_leave_the_next_try_open() -> None:
    assert _after_failures(4).wait_seconds("anna", "10.0.0.1", 5.0) == 0


def test_the_sixth_try_in_a_minute_waits_until_the_first_failure_is_a_minute_old() -> None:
    assert _after_failures(5).wait_seconds("anna", "10.0.0.1", 10.0) == 50


def test_when_the_minute_has_passed_the_next_try_is_open() -> None:
    assert _after_failures(5).wait_seconds("anna", "10.0.0.1", 60.0) == 0


def test_another_address_is_not_locked_out_with_the_guesser() -> None:
    assert _after_failures(5).wait_seconds("anna", "10.0.0.2", 10.0) == 0


def test_success_forgets_the_failures() -> None:
    lockout = _after_failures(4)
    lockout.succeeded("anna", "10.0.0.1")
    lockout.failed("anna", "10.0.0.1", 5.0)
    assert lockout.wait_seconds("anna", "10.0.0.1", 6.0) == 0


def test_a_flood_of_names_does_not_grow_the_memory() -> None:
    lockout = _after_failures(5)
    for number in range(TRACKED_PAIRS):
        lockout.failed(f"name{number}", "10.0.0.9", 6.0)
    assert lockout.wait_seconds("anna", "10.0.0.1", 10.0) == 0, "the oldest pair made room"
    assert len(lockout._failures) == TRACKED_PAIRS
