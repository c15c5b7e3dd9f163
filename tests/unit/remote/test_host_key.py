"""The host key's resource: what replaces it, what does not, and that the names in the state stay importable."""

import pickle
import socket

import pytest

from infra.remote.host_key import HostKeyProvider, learn
from infra.remote.ssh import run
from services.domain.errors import InvalidInput, Unavailable
from tests.support.machine_steps import KEY

IN_THE_STATE = b"cinfra.remote.host_key\nHostKeyProvider\n."
"""How a provider class is named in a stack's state: by module and class. These names are for ever."""

KNOWN = {"address": "192.0.2.1", "identity": "1", "port": 22.0, "host_key": KEY}


def test_the_name_in_the_state_still_leads_to_the_provider() -> None:
    assert pickle.loads(IN_THE_STATE) is HostKeyProvider  # noqa: S301 - written above


def test_another_machine_replaces_the_key() -> None:
    found = HostKeyProvider().diff("1", KNOWN, {**KNOWN, "identity": "2"})

    assert (found.changes, found.replaces) == (True, ["identity"])


def test_another_address_of_the_same_machine_keeps_its_key() -> None:
    moved = {"address": "192.0.2.9", "identity": "1", "port": 22, "host_key": None}

    found = HostKeyProvider().diff("1", KNOWN, moved)
    updated = HostKeyProvider().update("1", KNOWN, moved)

    assert (found.changes, found.replaces) == (True, [])
    assert updated.outs is not None
    assert (updated.outs["host_key"], updated.outs["address"]) == (KEY, "192.0.2.9")


def test_the_same_facts_change_nothing() -> None:
    assert not HostKeyProvider().diff("1", KNOWN, {"address": "192.0.2.1", "identity": "1", "port": 22}).changes


def test_a_machine_that_never_answers_ends_at_the_deadline_with_its_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever calls is refused
        with pytest.raises(TimeoutError, match=r"127\.0\.0\.1 showed no SSH host key"):
            learn("127.0.0.1", taken.getsockname()[1], 0.1)


@pytest.mark.parametrize("address", ["", "-oProxyCommand=id", "a b", "a;id"])
def test_what_is_no_address_is_never_called(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        learn(address, 22, 1)
    with pytest.raises(InvalidInput, match="host is no address"):
        run(address, "true", private_key="x", host_key=KEY, timeout=5)


@pytest.mark.parametrize(
    "key", ["", "nonsense", "ssh-ed25519 AAAA -oProxyCommand=id", "ssh-ed25519 AAAA\nssh-rsa AAAA"]
)
def test_a_malformed_host_key_is_refused_before_anything_is_called(key: str) -> None:
    with pytest.raises(InvalidInput, match="host key"):
        run("192.0.2.1", "true", private_key="x", host_key=key, timeout=5)


def test_a_session_that_does_not_come_about_names_the_machine_and_no_secret() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable) as failure:
            run("127.0.0.1", "echo canary-command", private_key="canary-key", host_key=KEY, timeout=60,
                port=taken.getsockname()[1])  # fmt: skip

    assert "127.0.0.1" in failure.value.message
    assert "canary" not in failure.value.message
    assert "/" not in failure.value.message
