"""The wire form of properties: protobuf structs with secrets wrapped, opened for the stand-ins and closed again.

An answer keeps secret what came in secret: a property that the stand-in returns as it was goes back with its own
wrapping, a changed one is wrapped as a whole, and so is every other one in whose text a secret is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from infra.rehearsal.providers.values import UNKNOWN, Properties

_MARK = "4dabf18193072939515e22adb298388d"  # the key of every special value
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  its value for a secret
_SHORTEST = 6  # a secret shorter than this is not looked for inside other values


def raw(struct: Struct) -> Properties:
    """A struct as JSON-like values, secrets still wrapped, whole numbers as int."""
    opened: Properties = _whole(json_format.MessageToDict(struct))
    return opened


def closed(properties: Properties) -> Struct:
    """JSON-like values as a struct."""
    struct = Struct()
    struct.update(properties)
    return struct


def opened(value: Any) -> Any:
    """The value without the wrapping of its secrets."""
    if isinstance(value, dict):
        if value.get(_MARK) == _SECRET:
            return opened(value["value"])
        return {key: opened(item) for key, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def wrapped(value: Any) -> Any:
    """The value as a secret; what is not known yet stays unknown."""
    return value if value == UNKNOWN else {_MARK: _SECRET, "value": value}


def secret_keys(properties: Properties) -> frozenset[str]:
    """The top-level names whose value holds a secret anywhere."""
    return frozenset(key for key, value in properties.items() if value != UNKNOWN and opened(value) != value)


def closed_again(answer: Properties, known: Iterable[Properties], derived: frozenset[str]) -> Properties:
    """A stand-in's answer with its secrets wrapped again.

    `known` are the raw properties that came with the request; `derived` names outputs that are secret as soon as
    anything in `known` is.
    """
    sources = list(known)
    hidden = frozenset().union(*(secret_keys(source) for source in sources))
    texts = {text for source in sources for text in _secret_texts(source)}
    return {key: _closed_one(key, value, sources, hidden, texts, derived) for key, value in answer.items()}


def _closed_one(
    key: str, value: Any, sources: list[Properties], hidden: frozenset[str], texts: set[str], derived: frozenset[str]
) -> Any:
    for source in sources:
        if key in source and opened(source[key]) == value:
            return source[key]
    is_secret = (
        key in hidden or (hidden and key in derived) or any(text in leaf for leaf in _texts(value) for text in texts)
    )
    return wrapped(value) if is_secret else value


def _secret_texts(value: Any, inside: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        inside = inside or value.get(_MARK) == _SECRET
        for key, item in value.items():
            if key != _MARK:
                yield from _secret_texts(item, inside)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_texts(item, inside)
    elif inside and isinstance(value, str) and len(value) >= _SHORTEST:
        yield value.strip()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
