"""Puts aside what differs between two runs of a scenario: times, the server's own ids and counters, paths, set order.

Pure functions over JSON values. What is left must be equal, to the letter, for every server that speaks ComfyUI's
protocol.
"""

import json
import re
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HOST_PATH = re.compile(r"(/[\w.-]+)+")
TEMP_NAME = re.compile(r"ComfyUI_temp_[a-z]{5}_")
TIMES = {"timestamp", "create_time", "execution_start_time", "execution_end_time"}
UNORDERED = {"executed", "current_outputs", "dependent_outputs"}
"""Lists that ComfyUI makes from Python sets; their order changes from run to run."""

HELP_TEXTS = {"tooltip", "output_tooltips", "search_aliases", "essentials_category"}
"""Words for people, written by ComfyUI's authors: facts are recorded here, texts are not."""


class Normaliser:
    """Remembers one scenario's own ids and its first queue number, to tell later answers relative to them."""

    def __init__(self, own_ids: dict[str, str]) -> None:
        self._names = dict(own_ids)
        self._first_number: int | None = None

    def __call__(self, value: Any) -> Any:
        """Return the value without what changes from run to run."""
        if isinstance(value, dict):
            return {self._text(key): self._entry(key, entry) for key, entry in value.items() if key not in HELP_TEXTS}
        if isinstance(value, list):
            if _is_queue_item(value):
                number, prompt_id, graph, extra_data, outputs = value
                return [self._number(number), self(prompt_id), self(graph), self(extra_data), sorted(outputs)]
            return [self(entry) for entry in value]
        if isinstance(value, str):
            return self._text(value)
        return value

    def _entry(self, key: str, entry: Any) -> Any:
        if key in TIMES and isinstance(entry, int | float):
            return "<time>"
        if key in ("number", "priority"):
            return self._number(entry)
        if key == "sid":
            return "<sid>" if re.fullmatch(r"[0-9a-f]{32}", str(entry)) else entry
        if key == "traceback":
            return ["<frames>"] if entry else []
        if key == "exception_message" and isinstance(entry, str):
            return HOST_PATH.sub("<path>", self._text(entry))
        if key in UNORDERED and isinstance(entry, list):
            return sorted(entry)
        if key == "errors" and isinstance(entry, list):
            return sorted(self(entry), key=lambda error: json.dumps(error, sort_keys=True))
        if key == "details" and isinstance(entry, str):
            return "\n".join(sorted(self._text(entry).split("\n")))
        return self(entry)

    def _text(self, text: str) -> str:
        if text.startswith("tensor("):
            return "<tensor>"

        def name(found: re.Match[str]) -> str:
            return self._names.setdefault(found[0], f"<id {len(self._names) + 1}>")

        return TEMP_NAME.sub("ComfyUI_temp_<random>_", UUID.sub(name, text))

    def _number(self, number: Any) -> Any:
        """A server-given number counts from the scenario's first one; the caller's own numbers (floats) stay."""
        if not isinstance(number, int) or isinstance(number, bool):
            return number
        if self._first_number is None:
            self._first_number = abs(number)
        distance = abs(number) - self._first_number
        return f"<front {distance}>" if number < 0 else f"<number {distance}>"


def shape(value: Any) -> Any:
    """Only the kinds of values, for answers that describe the machine."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def _is_queue_item(value: list[Any]) -> bool:
    return len(value) == 5 and isinstance(value[1], str) and isinstance(value[2], dict) and isinstance(value[3], dict)
