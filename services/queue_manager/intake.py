"""Taking jobs in: from the bytes of a submit to the record that the repository stores.

The envelope is decoded, the workflow and extra_data inside it are cut out as they came and never written anew.
Whether the graph can run is parity's to say; who may submit is the route's.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from services.domain.errors import Forbidden, InvalidInput
from services.domain.job import Priority
from services.domain.names import Role
from services.kit.strict_json import decode_json, shorten
from services.queue_manager.credentials import Identity
from services.queue_manager.parity import Parity
from services.queue_manager.repository import NewJob

MAX_LABEL = 200
MAX_CLIENT_ID = 200
MAX_IDEMPOTENCY_KEY = 128
MAX_TARGETS = 1000
MAX_TARGET = 200
MAX_BATCH = 100

JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_EXPECTED = re.compile(r"Expected `(.*?)`, got `(.*?)`(?: - at `\$?\.?(.*)`)?")
_MISSING = re.compile(r"missing required field `(.*?)`")
_UNKNOWN = re.compile(r"unknown field `(.*?)`")
_KINDS = {"str": "a text", "bool": "true or false", "object": "an object", "array": "a list", "int": "a number"}


class Envelope(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of a submit; `workflow` and `extra_data` stay raw bytes."""

    workflow: msgspec.Raw
    id: str | None = None
    client_id: str | None = None
    label: str | None = None
    # Not `Raw | None`: msgspec decodes that union as null only.
    extra_data: msgspec.Raw = msgspec.Raw(b"{}")
    partial_execution_targets: list[str] | None = None
    front: bool = False
    priority: Priority | None = None


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a batch submit."""

    jobs: list[Envelope]


T = TypeVar("T")

_envelope = msgspec.json.Decoder(Envelope)
_batch = msgspec.json.Decoder(Batch)
_QUOTED_FIELDS = tuple(f'"{name}"'.encode() for name in Envelope.__struct_fields__)

_TAIL = 1000
"""Where the workflow stands first, it is expected to end within this many bytes of the end."""
_BEGINNING = re.compile(rb'\s*\{\s*"workflow"\s*:\s*(?=\{)')
_END = re.compile(rb"\}(?=\s*(?:\}\s*\Z|,\s*(?:" + b"|".join(_QUOTED_FIELDS) + rb")\s*:))")


def decode_envelope(body: bytes) -> Envelope:
    """Read the body of a submit; raises InvalidInput with one sentence that names the field at fault."""
    envelope = _decode(_envelope, body)
    _refuse_duplicate_keys(body, envelope)
    return envelope


def guess_envelope(body: bytes) -> Envelope | None:
    """Cut an envelope of the usual layout (workflow first, little behind it) without reading the workflow; or None.

    It saves a fifth of a submit's CPU, and it is right if and only if the workflow that it cut out is whole JSON: what
    is left was read with a number in that place. Whether it is whole is found out when the graph is scanned.
    """
    beginning = _BEGINNING.match(body)
    if beginning is None or not body.isascii():
        return None
    start = beginning.end()
    end = _END.search(body, max(start, len(body) - _TAIL))
    if end is None:
        return None
    rest = body[:start] + b"0" + body[end.end() :]
    if b"\\" in rest or any(rest.count(name) > 1 for name in _QUOTED_FIELDS):
        return None
    try:
        envelope = _envelope.decode(rest)
    except msgspec.DecodeError:
        return None
    envelope.workflow = msgspec.Raw(body[start : end.end()])
    return envelope


def decode_batch(body: bytes) -> list[Envelope]:
    """Read the body of a batch submit; raises InvalidInput."""
    decode_json(body)
    batch = _decode(_batch, body)
    if not 1 <= len(batch.jobs) <= MAX_BATCH:
        raise InvalidInput(f"The field jobs must hold 1 to {MAX_BATCH} jobs; this one holds {len(batch.jobs)}.")
    return batch.jobs


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        if not body.isascii():
            body.decode("utf-8")
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8 at byte {error.start}; send JSON encoded as UTF-8.") from None
    except RecursionError:
        raise InvalidInput("The body is nested too deeply; send fewer levels of lists and objects.") from None
    except msgspec.ValidationError as error:
        raise InvalidInput(_validation_sentence(str(error))) from None
    except msgspec.DecodeError as error:
        # Says more than the short "Input data was truncated" that a lone surrogate inside a raw value gets.
        decode_json(body)
        raise InvalidInput(f"The body is not valid JSON: {error}.") from None


def _validation_sentence(text: str) -> str:
    if found := _MISSING.search(text):
        return f"The field {found[1]} is missing; add it."
    if found := _UNKNOWN.search(text):
        return f"The field {shorten(found[1])} is not known here; leave it out."
    if found := _EXPECTED.search(text):
        wanted = " or ".join(_KINDS.get(kind, kind) for kind in found[1].split(" | "))
        where = f"field {found[3]}" if found[3] else "body"
        return f"The {where} must be {wanted}, not {found[2]}."
    if "enum value" in text:
        return f"The field priority must be one of {', '.join(Priority)}."
    return f"The body is not valid: {shorten(text, 200)}."


def _refuse_duplicate_keys(body: bytes, envelope: Envelope) -> None:
    """Refuse an envelope that names a field twice: another reader might take the other one.

    The large values are cut out first, where they are expected to stand; where they do not stand there the whole body
    is read. In what is left a field that is named twice is spelled twice alike, unless there is a backslash: counting
    says whether it has to be read at all.
    """
    rest = _without(body, b'"workflow"', bytes(envelope.workflow))
    if rest is not None and b'"extra_data"' in rest:
        rest = _without(rest, b'"extra_data"', bytes(envelope.extra_data))
    if rest is None:
        decode_json(body)
    elif b"\\" in rest or any(rest.count(name) > 1 for name in _QUOTED_FIELDS):
        decode_json(rest)


def _without(body: bytes, key: bytes, value: bytes) -> bytes | None:
    start = body.find(value[:1], body.find(key) + len(key))
    return body[:start] + b"0" + body[start + len(value) :] if body.startswith(value, start) else None


def idempotency_key(header: bytes | None) -> str:
    """Check the header Idempotency-Key; "" where there is none. Raises InvalidInput."""
    if not header:
        return ""
    text = header.decode("latin-1")
    if not _KEY.fullmatch(text):
        raise InvalidInput(f"The header Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters.")
    return text


async def read_job(parity: Parity, who: Identity, body: bytes, key: str = "") -> NewJob:
    """Read the body of a submit and make the record of it; raises like `decode_envelope` and `new_job`."""
    guess = guess_envelope(body)
    if guess is not None:
        with contextlib.suppress(InvalidInput):  # a wrong guess, or a field to be refused in the exact words
            return await new_job(parity, who, guess, key)
    return await new_job(parity, who, decode_envelope(body), key)


async def new_job(parity: Parity, who: Identity, envelope: Envelope, key: str = "") -> NewJob:
    """Check an envelope completely and make the record of it.

    Raises InvalidInput, Forbidden (a class set by a participant) and WorkflowRejected (in ComfyUI's own form).
    """
    _check_texts(envelope)
    workflow = bytes(envelope.workflow)
    if not workflow.startswith(b"{"):
        raise InvalidInput("The field workflow must be an object of nodes; save it with 'Export (API)' in ComfyUI.")
    extra = bytes(envelope.extra_data)
    if not extra.startswith(b"{"):
        raise InvalidInput("The field extra_data must be an object; leave it out where there is nothing to say.")
    targets = _targets(envelope.partial_execution_targets)
    admitted = await parity.admit(who.name, workflow, targets)
    return NewJob(
        id=envelope.id or new_id(),
        participant=who.name,
        workflow=b"".join((b'{"workflow":', workflow, b',"extra_data":', extra, b"}")),
        pool=admitted.pool,
        kind=admitted.kind,
        model=admitted.model,
        inputs=admitted.inputs,
        priority=_priority(who, envelope.priority),
        label=envelope.label or "",
        client_id=envelope.client_id or "",
        front=envelope.front,
        partial_execution_targets=targets,
        idempotency_key=key,
    )


def new_id() -> str:
    """A random UUID (version 4) in lower-case letters; a third of the cost of uuid4() and its text."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _priority(who: Identity, wanted: Priority | None) -> Priority:
    if who.role is Role.INSTRUCTOR:
        return wanted or Priority.INSTRUCTOR
    if wanted is not None:
        raise Forbidden("Only the instructor sets the field priority; leave it out.")
    return Priority.NORMAL


def _check_texts(envelope: Envelope) -> None:
    if envelope.id is not None and not JOB_ID.fullmatch(envelope.id):
        raise InvalidInput("The field id must be a UUID in lower-case letters; leave it out to get one made.")
    if envelope.label is not None and len(envelope.label) > MAX_LABEL:
        raise InvalidInput(f"The field label is longer than {MAX_LABEL} characters; shorten it.")
    if envelope.client_id is not None and len(envelope.client_id) > MAX_CLIENT_ID:
        raise InvalidInput(f"The field client_id is longer than {MAX_CLIENT_ID} characters; shorten it.")


def _targets(given: Sequence[str] | None) -> tuple[str, ...]:
    if not given:
        return ()
    if len(given) > MAX_TARGETS or any(not 0 < len(target) <= MAX_TARGET for target in given):
        raise InvalidInput(
            f"The field partial_execution_targets must hold at most {MAX_TARGETS} node ids of 1 to {MAX_TARGET} "
            "characters."
        )
    return tuple(given)
