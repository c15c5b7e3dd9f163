"""The pure rules around Verda: what an answer means, what a verified backup is, when a host never ran, how we wait."""

import pytest
from verda.instances import Instance

from infra.verda import errors
from infra.verda.backup import split_address, verified_snapshot
from infra.verda.client.transport import meaning
from infra.verda.instances import never_came_up
from infra.verda.prices import PRICES, price_of
from infra.verda.waiting import until


class StillClock:
    """Time passes by sleeping only, and takes none."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.pauses.append(seconds)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (402, "insufficient_funds", "Insufficient funds", errors.InsufficientFunds),
        (403, "forbidden_action", "Instance quota exceeded", errors.QuotaReached),
        (503, "service_unavailable", "Instance type not available", errors.NoCapacity),
        (400, "no_capacity", "", errors.NoCapacity),
        (404, "not_found", "No such volume", errors.NotAtVerda),
        (404, "", "", errors.NotAtVerda),
        (401, "unauthorized_request", "", errors.CredentialsRefused),
        (500, "server_error", "Internal error", errors.VerdaUnavailable),
        (503, "service_unavailable", "Maintenance", errors.VerdaUnavailable),
        (429, "", "Slow down", errors.VerdaUnavailable),
        (400, "invalid_request", "hostname is too long", errors.VerdaError),
        (403, "forbidden_action", "Not allowed", errors.VerdaError),
    ],
)
def test_an_answer_means_one_thing(status: int, code: str, message: str, kind: type[errors.VerdaError]) -> None:
    found = meaning(status, code, message)

    assert type(found) is kind
    assert found.message.endswith(".")


def test_a_long_answer_is_quoted_in_part() -> None:
    assert len(meaning(400, "invalid_request", "x" * 5000).message) < 500


@pytest.mark.parametrize(
    ("answer", "snapshot"),
    [
        (b'{"snapshot": "s1", "verified": true}', "s1"),
        (b'{"snapshot": "s1", "verified": true, "files": 3}\n', "s1"),
        (b'{"snapshot": "s1", "verified": false}', None),
        (b'{"snapshot": "s1", "verified": "true"}', None),
        (b'{"snapshot": "s1"}', None),
        (b'{"snapshot": "", "verified": true}', None),
        (b'{"verified": true}', None),
        (b'[{"snapshot": "s1", "verified": true}]', None),
        (b"done", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_only_a_backup_that_says_so_is_verified(answer: bytes, snapshot: str | None) -> None:
    assert verified_snapshot(answer) == snapshot


@pytest.mark.parametrize(
    ("status", "ip", "host_key", "empty"),
    [
        ("ordered", None, "", True),
        ("no_capacity", None, "", True),
        ("error", None, "", True),
        ("error", "203.0.113.7", "", False),
        ("error", None, "ssh-ed25519 AAAA", False),
        ("running", None, "", False),
        ("offline", "203.0.113.7", "ssh-ed25519 AAAA", False),
        ("some new word", None, "", False),
    ],
)
def test_a_host_is_empty_only_when_it_never_had_an_address(
    status: str, ip: str | None, host_key: str, empty: bool
) -> None:
    machine = Instance("id", "type", 1.0, "host", "", status, "", [], {}, {}, {}, {}, {}, ip=ip)

    assert never_came_up(machine, {"host_key": host_key}) is empty


def test_an_address_may_carry_a_port() -> None:
    assert split_address("203.0.113.7") == ("203.0.113.7", 22)
    assert split_address("127.0.0.1:2022") == ("127.0.0.1", 2022)


def test_waiting_slows_down_and_looks_once_more_at_the_end() -> None:
    clock, looks = StillClock(), []

    def look() -> None:
        looks.append(clock.time)

    with pytest.raises(errors.DeadlinePassed, match=r"^never$"):
        until(look, clock=clock, seconds=100, sentence="never")

    assert looks[-1] == pytest.approx(100)
    assert clock.pauses[0] < clock.pauses[5] <= 10
    assert max(clock.pauses) <= 10


def test_waiting_ends_with_what_was_found() -> None:
    clock = StillClock()

    assert until(lambda: "found" if clock.time > 3 else None, clock=clock, seconds=10, sentence="") == "found"
    assert clock.time < 6


def test_every_price_has_its_basis_and_its_date() -> None:
    assert all("2026" in price.basis and price.amount > 0 for price in PRICES)
    spot, firm = price_of("1H200.141S.44V", True), price_of("1H200.141S.44V", False)
    assert spot is not None and firm is not None and spot.amount < firm.amount
    assert price_of("1UNKNOWN.1V", False) is None
