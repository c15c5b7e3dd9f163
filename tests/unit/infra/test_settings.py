"""A wrong stack file is refused before anything is touched: by key, with the reason and the next step, all at once."""

import re
from typing import Any

import pytest

from infra.rehearsal import made_up
from infra.settings import NAMESPACE, SettingsRefused, StackSettings
from tests.support.stack_settings import ABSENT, SECRETS, as_pulumi_hands_them_over, changed, committed, secret_keys
from tests.unit.infra.wrong_settings import WRONG, Wrong, secret_step


def problems(config: dict[str, Any], secret: set[str] | None = None) -> tuple[str, ...]:
    """What `parse` finds wrong; one line a problem."""
    with pytest.raises(SettingsRefused) as refused:
        StackSettings.parse(as_pulumi_hands_them_over(config), secret_keys() if secret is None else secret)
    return refused.value.problems


def assert_nothing_secret(text: str) -> None:
    """No line of a made-up secret's body stands in `text`."""
    values = [committed("staging")[f"comfyume:{name}"] for name in SECRETS]
    pieces = [line for value in values for line in value.splitlines() if not line.startswith("-----")]
    assert not [piece for piece in pieces if piece in text]


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_committed_stack_file_with_secrets_is_accepted(stack: str) -> None:
    settings = StackSettings.parse(as_pulumi_hands_them_over(committed(stack)), secret_keys())

    assert list(settings.participants)[:3] == ["user001", "user002", "user003"]
    assert settings.gpu.count == 0
    assert "**" in repr(settings.hcloud_token)


def test_at_least_forty_wrong_configurations_are_tried() -> None:
    assert len(WRONG) >= 40


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_wrong_setting_is_named_with_the_reason_and_the_next_step(case: Wrong) -> None:
    found = problems(changed("staging", **case.changes) | case.foreign)

    assert len(found) == 1, found
    assert found[0].startswith(f"{case.key}: ")
    assert case.reason in found[0]
    assert case.step in found[0]
    assert re.fullmatch(r"[ -~]+[.?]", found[0]), "one line of plain characters that ends"
    assert_nothing_secret(found[0])


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_plain_text_is_refused_without_showing_it(name: str) -> None:
    found = problems(committed("staging"), secret_keys() - {f"{NAMESPACE}:{name}"})

    assert found == (
        f"comfyume:{name}: stands in the stack file in plain text; revoke it at its provider, then set the new one "
        f"with {secret_step(name)}.",
    )
    assert_nothing_secret(found[0])


def test_everything_wrong_is_named_at_once() -> None:
    config = changed(
        "staging", gpu__cuont=1, gpu__count=9, domain="Workshop", hcloud_token=ABSENT, participants__admin={},
        participants__ops={}, monitoring={"grafana": True}, verda_client_secret=ABSENT, certificate_key="x" * 80,
    )  # fmt: skip
    found = problems(config | {"docker:host": "x"}, secret_keys() - {"comfyume:tailscale_auth_key"})

    assert {line.split(": ")[0] for line in found} == {
        "docker:host", "comfyume:gpu.cuont", "comfyume:gpu.count", "comfyume:domain", "comfyume:hcloud_token",
        "comfyume:participants.admin", "comfyume:staff.ops", "comfyume:monitoring", "comfyume:verda_client_secret",
        "comfyume:tailscale_auth_key", "comfyume:certificate_key",
    }  # fmt: skip
    assert_nothing_secret("\n".join(found))


def test_the_refusal_counts_its_reasons_and_says_that_nothing_was_touched() -> None:
    with pytest.raises(SettingsRefused) as refused:
        StackSettings.parse(as_pulumi_hands_them_over(changed("staging", gpu__count=9, session_key=0)), secret_keys())

    first, *others = refused.value.message.splitlines()
    assert first == "2 settings are wrong; nothing was touched."
    assert others == [f"  {problem}" for problem in refused.value.problems]


def test_text_that_is_no_unicode_is_a_sentence_too() -> None:
    found = problems(changed("staging", gpu='{"instance_type": "\\ud800"}'))

    assert found == ("comfyume: the settings cannot be read as text; look for characters that are no Unicode.",)


def test_a_certificate_for_all_names_below_the_parent_domain_is_accepted() -> None:
    wildcard = made_up.certificate("workshop.example.org")
    config = changed("staging", certificate=wildcard.certificate, certificate_key=wildcard.key.value)

    assert (
        StackSettings.parse(as_pulumi_hands_them_over(config), secret_keys()).domain == "staging.workshop.example.org"
    )


def test_an_operator_key_with_a_passphrase_is_refused() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (found,) = problems(changed("staging", operator_private_key=locked.decode()))

    assert found.startswith("comfyume:operator_private_key: is protected by a passphrase")
