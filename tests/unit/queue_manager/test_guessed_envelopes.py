"""The quick way to cut a submit's envelope never says anything else than the exact one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.errors import InvalidInput
from services.queue_manager.intake import Envelope, decode_envelope, guess_envelope

TRICKY = ['}},"id":', '"client_id"', ',"workflow":{', "}", "{", '"', "\\", "plain", "grün", "id", "label", "extra_data"]
texts = st.sampled_from(TRICKY)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 99) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
envelopes = st.fixed_dictionaries(
    {"workflow": st.dictionaries(texts, values, max_size=3)},
    optional={
        "id": texts,
        "client_id": texts,
        "label": texts,
        "extra_data": st.dictionaries(texts, values, max_size=2),
    },
)


def content(envelope: Envelope) -> tuple[Any, ...]:
    return (
        bytes(envelope.workflow),
        bytes(envelope.extra_data),
        envelope.id,
        envelope.client_id,
        envelope.label,
    )


def is_whole(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(
    envelopes, st.booleans(), st.booleans(), st.none() | st.integers(0, 400), st.sampled_from(["", "}", "{", '"', ","])
)
def test_a_guess_with_a_whole_workflow_is_what_the_exact_reader_reads(
    body: dict[str, Any], compact: bool, plain: bool, damaged_at: int | None, damage: str
) -> None:
    text = json.dumps(body, separators=(",", ":") if compact else None, ensure_ascii=plain).encode()
    if damaged_at is not None:
        place = damaged_at % len(text)
        text = text[:place] + damage.encode() + text[place + 1 :]
    guess = guess_envelope(text)
    if guess is not None and is_whole(bytes(guess.workflow)):
        assert content(guess) == content(decode_envelope(text))


def test_the_usual_layouts_are_guessed() -> None:
    for text in (b'{"workflow":{"1":{}}}', b'{"workflow": {"1": {"x": {}}}, "client_id": "me"}'):
        guess = guess_envelope(text)
        assert guess is not None
        assert content(guess) == content(decode_envelope(text))


def test_a_field_named_twice_is_not_guessed_but_refused() -> None:
    text = b'{"workflow":{"1":{}},"label":"a","label":"b"}'
    assert guess_envelope(text) is None
    with pytest.raises(InvalidInput, match="twice"):
        decode_envelope(text)
