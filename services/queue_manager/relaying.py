"""A worker's messages on their way to the owner's event stream: checked, and passed on as the bytes that they are."""

import re

import msgspec

from services.domain.errors import InvalidInput
from services.kit.strict_json import decode_json

MAX_MESSAGES = 1000
MAX_TYPE = 100

_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class EngineMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One of ComfyUI's messages; `data` stays raw."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


_messages = msgspec.json.Decoder(list[EngineMessage])


def decode_messages(body: bytes) -> list[bytes]:
    """Read a list of messages into the data of as many events; raises InvalidInput with one sentence."""
    try:
        if not body.isascii():
            body.decode("utf-8")
        messages = _messages.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decode_json(body)  # knows the better sentence for what is no JSON at all
        raise _form() from None
    if _HALF_PAIR.search(body):
        decode_json(body)
    if len(messages) > MAX_MESSAGES:
        raise InvalidInput(f"The body has to be a list of at most {MAX_MESSAGES} messages; send several lists.")
    return [_data(message) for message in messages]


def _data(message: EngineMessage) -> bytes:
    data = bytes(message.data)
    if not data.startswith(b"{") or not 0 < len(message.type) <= MAX_TYPE:
        raise _form()
    return b'{"message":%b,"data":%b}' % (msgspec.json.encode(message.type), data)


def _form() -> InvalidInput:
    return InvalidInput(
        f'The body has to be a list of messages {{"type": text of 1 to {MAX_TYPE} letters, "data": object}}, '
        "without other fields."
    )
