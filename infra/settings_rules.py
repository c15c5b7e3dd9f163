"""What the settings of one stack owe each other: rules over more than one key.

A rule is looked at as soon as the keys it needs are right by themselves, so that one typing error hides no other.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.settings_keys import wrong_with_certificate, wrong_with_certificate_key, wrong_with_operator_key
from infra.settings_refusals import how_to_set_secret
from services.domain.names import RESERVED_NAMES


def broken_rules(known: Mapping[str, Any]) -> list[str]:
    """`key: what is wrong; what to do.` for each rule that these settings break; `known` has the right ones by name."""
    return [
        f"{problem}."
        for rule in _RULES
        if set(rule.__annotations__) - {"return"} <= set(known)
        for problem in rule(**{name: known[name] for name in rule.__annotations__ if name != "return"})
    ]


def _people(participants: Any, staff: Any) -> Iterator[str]:
    for name in sorted(RESERVED_NAMES & {*participants, *staff}):
        section = "participants" if name in participants else "staff"
        yield f"{section}.{name}: is an address of the front door; choose another name"
    for name in sorted(set(participants) & set(staff)):
        yield f"staff.{name}: is a participant as well; give the two different names"


def _operator(staff: Any) -> Iterator[str]:
    if not any(person.role == "operator" for person in staff.values()):
        yield "staff: needs at least one operator; add one, for example `ops: {role: operator}`"


def _verda(serverless: Any, shared_filesystem: Any, verda_client_id: Any, verda_client_secret: Any) -> Iterator[str]:
    if not (serverless.count or shared_filesystem):  # a GPU host always comes with a shared filesystem
        return
    for name, value in (("verda_client_id", verda_client_id), ("verda_client_secret", verda_client_secret)):
        if not value:
            yield f"{name}: is needed for gpu, serverless and shared_filesystem; set it with {how_to_set_secret(name)}"


def _inference(serverless: Any, verda_inference_key: Any) -> Iterator[str]:
    if serverless.count and not verda_inference_key:
        how = how_to_set_secret("verda_inference_key")
        yield f"verda_inference_key: is needed as soon as serverless.count is above 0; set it with {how}"


def _shared_filesystem(gpu: Any, shared_filesystem: Any) -> Iterator[str]:
    if gpu.count and shared_filesystem is None:
        yield "shared_filesystem: is needed as soon as gpu.count is above 0; set its size_gb or adopt_id"


def _tailnet(app_host: Any, gpu: Any) -> Iterator[str]:
    addresses = [app_host.expected_tailnet_address, *gpu.expected_tailnet_addresses]
    twice = [address for address, count in Counter(addresses).items() if address and count > 1]
    for address in twice:
        yield f"gpu.expected_tailnet_addresses: {address} is expected of two machines; give each its own"


def _buckets(object_storage: Any) -> Iterator[str]:
    buckets = object_storage.buckets
    names = [bucket.name for bucket in buckets.by_role().values()] + object_storage.legacy_buckets
    for name, count in Counter(names).items():
        if count > 1:
            yield f"object_storage: `{name}` is named {count} times; give each bucket a name of its own"


def _certificate(certificate: Any, domain: Any) -> Iterator[str]:
    if wrong := wrong_with_certificate(certificate, domain):
        yield f"certificate: {wrong}"


def _certificate_key(certificate: Any, certificate_key: Any) -> Iterator[str]:
    wrong = wrong_with_certificate_key(certificate, certificate_key.get_secret_value())
    if wrong:
        yield f"certificate_key: {wrong}; set it with {how_to_set_secret('certificate_key')}"


def _operator_key(operator_private_key: Any, access: Any) -> Iterator[str]:
    wrong = wrong_with_operator_key(operator_private_key.get_secret_value(), access.public_keys)
    if wrong:
        yield f"operator_private_key: {wrong}, or set another with {how_to_set_secret('operator_private_key')}"


_RULES: tuple[Callable[..., Iterator[str]], ...] = (
    _people, _operator, _verda, _inference, _shared_filesystem, _tailnet, _buckets, _certificate, _certificate_key,
    _operator_key,
)  # fmt: skip
