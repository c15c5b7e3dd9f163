"""ComfyUI's messages made fit for the participant's eyes: own names back, server paths and tokens out.

Which messages belong to a job is decided here too: the socket is private to the job, but ComfyUI also broadcasts (its
queue, its log, custom nodes' monitors), and a remote ComfyUI may have other users.
"""

import re
import struct
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from services.domain.job import JobError

PREVIEW, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
"""Kinds of binary frames: the first four bytes, big-endian."""

PROGRESS = ("progress_state", "progress")
"""Messages of which only the newest matters: each tells the whole state again."""

PICTURE = "picture"
"""Key of a frame that is a result and not a preview: SaveImageWebsocket's PNGs. Sampler previews are JPEG."""
_PNG = 2

BLOCKED = "ExecutionBlocked"
"""exception_type of an execution_error that does not end the prompt (seen in execution.py of 0.33.0)."""

_NEVER = {"status", "feature_flags", "logs"}
_SECRET_KEYS = {"auth_token_comfy_org", "api_key_comfy_org", "extra_data", "fullpath", "client_id"}
_MAX_TEXT = 4_000
"""Characters of one value in an error message; current_inputs can hold whole tensors in words."""

_UNIX_PATH = re.compile(r"(?<![\w/:.<])/(?:[^\s/'\":,;<>|()\[\]{}]+/)+(?=[^\s/'\":,;<>|()\[\]{}])")
_WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\(?:[^\\/:*?\"<>|\r\n]+\\)+")
_QUOTED_PATH = re.compile(r"(?<=[\"'])/(?:[^/\"'\n]+/)+(?=[^/\"'\n]+[\"'])")


class NameMap:
    """Turns the worker's file names back into those that the participant knows."""

    def __init__(self, output_prefix: str, inputs: Mapping[str, str]) -> None:
        self.output_prefix = output_prefix
        self._inputs = dict(inputs)
        texts = [re.escape(name) for name in sorted(self._inputs, key=len, reverse=True)]
        self._pattern = re.compile("|".join([*texts, re.escape(output_prefix) + "/?"]))

    def back(self, value: Any) -> Any:
        """Return `value` (nested lists and dictionaries of JSON) with every name turned back."""
        if isinstance(value, str):
            return self._pattern.sub(lambda found: self._inputs.get(found[0], ""), value)
        if isinstance(value, dict):
            return {key: self.back(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.back(inner) for inner in value]
        return value


class MessageFilter:
    """Chooses the messages of one job and cleans them."""

    def __init__(self, prompt_id: str, node_ids: Collection[str], names: NameMap) -> None:
        self.prompt_id = prompt_id
        self._node_ids = node_ids
        self._names = names
        self.executing = False
        """Whether the job runs now: messages without a prompt id can only be about it then."""

    def message(self, kind: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """The message as it may be relayed, or None for one that is not the job's."""
        if kind in _NEVER or not self._is_ours(data):
            return None
        if kind in PROGRESS:
            return {"type": kind, "data": data}  # ids and numbers only
        data = self._names.back({key: value for key, value in data.items() if key not in _SECRET_KEYS})
        if kind == "execution_error":
            data = without_paths(data)
        return {"type": kind, "data": _without_secrets(data)}

    def _is_ours(self, data: dict[str, Any]) -> bool:
        prompt_id = data.get("prompt_id")
        if prompt_id is not None:
            return bool(prompt_id == self.prompt_id)
        if not self.executing:
            return False
        node = data.get("node", data.get("node_id", data.get("id")))
        return node is not None and str(node).split(":")[0].split(".")[0] in self._node_ids

    def frame(self, frame: bytes) -> tuple[str, bytes] | None:
        """Under which key a binary frame replaces an older one (but PICTURE: none), and the frame; None for one that is
        not the job's.
        """
        if len(frame) < 8:
            return None
        kind, length = struct.unpack_from(">II", frame)
        if kind == PREVIEW_WITH_METADATA:
            metadata = _json(frame[8 : 8 + length])
            ours = metadata.get("prompt_id") == self.prompt_id
            key = PICTURE if metadata.get("image_type") == "image/png" else f"preview {metadata.get('node_id')}"
            return (key, frame) if ours else None
        if kind == PREVIEW and self.executing:
            return PICTURE if length == _PNG else "preview", frame
        if kind == TEXT and self.executing:
            return f"text {frame[8 : 8 + length].decode('utf-8', 'replace')}", frame
        return None


def without_paths(value: Any) -> Any:
    """Return `value` with the folders of absolute paths cut off in every text, and long texts shortened."""
    if isinstance(value, str):
        text = _QUOTED_PATH.sub("", value)
        text = _UNIX_PATH.sub("", _WINDOWS_PATH.sub("", text))
        return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"
    if isinstance(value, dict):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner) for inner in value]
    return value


def error_from(data: Mapping[str, Any], names: NameMap) -> JobError:
    """The job's error from the data of an execution_error, in words for its owner."""
    message = str(data.get("exception_message") or "ComfyUI reported an error without a message.").strip()
    return JobError(
        type=str(data.get("exception_type") or "execution_error"),
        message=without_paths(names.back(message)),
        node_id=_text_or_none(data.get("node_id")),
        node_type=_text_or_none(data.get("node_type")),
    )


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(inner) for key, inner in value.items() if key not in _SECRET_KEYS}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _json(raw: bytes) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return data if isinstance(data, dict) else {}
