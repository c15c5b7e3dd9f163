"""Checks of one value against one input's declaration, in ComfyUI 0.33.0's words and with its tolerance.

ComfyUI converts before it compares (`"12"` is a fine INT), so the same conversions are made here, on a copy. Pure.
"""

from collections.abc import Mapping
from typing import Any

from services.domain.node_inputs import COMBO, NodeInput

Complaint = dict[str, Any]
"""`{"type", "message", "details", "extra_info"}`, as it stands in ComfyUI's `node_errors`."""

_ANY = "*"
_MATCH = "COMFY_MATCHTYPE_V3"
_LONGEST_SHOWN_LIST = 20
"""ComfyUI names the choices of a combo up to this many, and only their number beyond."""

_CONVERSIONS: dict[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def complaint(kind: str, message: str, details: str, extra_info: dict[str, Any]) -> Complaint:
    """Spell one complaint."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def about(declared: NodeInput) -> dict[str, Any]:
    """Name the input and its declaration, as most complaints do."""
    return {"input_name": declared.name, "input_config": [declared.type, dict(declared.config)]}


def check_value(declared: NodeInput, value: Any) -> list[Complaint]:
    """Check a value that is not a link; at most one complaint."""
    if isinstance(value, Mapping) and "__value__" in value:
        value = value["__value__"]
    convert = _CONVERSIONS.get(declared.type) if isinstance(declared.type, str) else None
    if convert is not None:
        try:
            value = convert(value)
        except (TypeError, ValueError, OverflowError) as error:
            extra = {**about(declared), "received_value": value, "exception_message": str(error)}
            message = f"Failed to convert an input value to a {declared.type} value"
            return [complaint("invalid_input_type", message, f"{declared.name}, {value}, {error}", extra)]
    if not declared.checked:
        return []
    return _out_of_range(declared, value) or (_not_in_list(declared, value) if declared.is_combo else [])


def _out_of_range(declared: NodeInput, value: Any) -> list[Complaint]:
    extra = {**about(declared), "received_value": value}
    least, most = declared.config.get("min"), declared.config.get("max")
    if not isinstance(value, int | float):
        return []
    if isinstance(least, int | float) and value < least:
        message = f"Value {value} smaller than min of {least}"
        return [complaint("value_smaller_than_min", message, declared.name, extra)]
    if isinstance(most, int | float) and value > most:
        message = f"Value {value} bigger than max of {most}"
        return [complaint("value_bigger_than_max", message, declared.name, extra)]
    return []


def _not_in_list(declared: NodeInput, value: Any) -> list[Complaint]:
    options = declared.options
    several = declared.config.get("multiselect", False) and isinstance(value, list)
    wrong = [one for one in (value if several else [value]) if one not in options]
    if not wrong:
        return []
    extra = {**about(declared), "received_value": value}
    shown = str(options)
    if len(options) > _LONGEST_SHOWN_LIST:
        shown = f"(list of length {len(options)})"
        extra["input_config"] = None
    details = f"{declared.name}: {', '.join(map(repr, wrong))} not in {shown}"
    return [complaint("value_not_in_list", "Value not in list", details, extra)]


def types_match(received: Any, wanted: Any) -> bool:
    """Say whether an output of type `received` ("IMAGE", "INT,FLOAT", "*", a list of choices) may feed `wanted`."""
    if received == wanted or _ANY in (received, wanted) or _MATCH in (received, wanted):
        return True
    if isinstance(received, list) and wanted == COMBO:
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return False
    offered = {part.strip() for part in received.split(",")}
    accepted = {part.strip() for part in wanted.split(",")}
    return _ANY in offered or _ANY in accepted or bool(offered & accepted)
