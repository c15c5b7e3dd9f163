"""The strict reader takes what is JSON and refuses what only nearly is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.errors import InvalidInput
from services.kit.strict_json import decode_json, shorten

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_json_wrote_is_read_back(value: object, escaped: bool) -> None:
    assert decode_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[1e400]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "digits"),
        (b'{"a": 1, "a": 1}', "'a' stands twice"),
        (b'{"x": {"a": 1, "\\u0061": 2}}', "'a' stands twice"),
        (b"\xff", "UTF-8 at byte 0"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\uDC00": 1}', "surrogate"),
        (b"[" * 100_000, "deeply"),
        (b'{"a":' * 100_000, "deeply"),
    ],
)
def test_what_is_not_clean_json_is_refused_with_a_sentence(body: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        decode_json(body)
    assert refused.value.message.endswith(".")
    assert len(refused.value.message) < 200


def test_whole_pairs_of_surrogates_are_fine() -> None:
    assert decode_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


def test_texts_in_sentences_are_short_and_printable() -> None:
    assert shorten("a\nb\u202e") == "'a\\nb\\u202e'"
    assert len(shorten("x" * 1000)) < 70
