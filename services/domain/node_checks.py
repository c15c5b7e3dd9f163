"""Checks of one node that need more than one value: its links, its files, its missing inputs. ComfyUI's words; pure."""

from collections.abc import Callable, Mapping
from typing import Any

from services.domain.node_inputs import NodeInput
from services.domain.node_schema import NodeSchema
from services.domain.value_checks import Complaint, about, complaint, types_match

FileExists = Callable[[str], bool]
"""Whether the graph's owner has uploaded a file of this name (without annotation)."""


class Broken(Exception):
    """Checking a node failed in a way that ComfyUI reports as an exception of its own; `kind` is Python's class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def file_of(value: str) -> str | None:
    """Name the upload that a file input's value means; None for a file of the output or temp folder.

    ComfyUI's annotation `name.png [input]` is taken off.
    """
    if value.endswith(("[output]", "[temp]")):
        return None
    return value[:-8] if value.endswith("[input]") else value


def check_missing(declared: NodeInput, schema: NodeSchema) -> list[Complaint]:
    """Complain about an input that the node does not have, if it must."""
    if not declared.required:
        return []
    details = declared.name.rsplit(".", 1)[-1] if schema.grows else declared.name
    extra = {"input_name": declared.name}
    return [complaint("required_input_missing", "Required input is missing", details, extra)]


def check_link(
    declared: NodeInput, link: list[Any], graph: Mapping[str, Any], catalogue: Mapping[str, Any]
) -> list[Complaint]:
    """Check the form of a link and the type it brings. Raises Broken where it leads nowhere."""
    if len(link) != 2:
        message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
        extra = {**about(declared), "received_value": link}
        return [complaint("bad_linked_input", message, declared.name, extra)]
    received = _received_type(link, graph, catalogue)
    if types_match(received, declared.type):
        return []
    details = f"{declared.name}, received_type({received}) mismatch input_type({declared.type})"
    extra = {**about(declared), "received_type": received, "linked_node": link}
    return [complaint("return_type_mismatch", "Return type mismatch between linked nodes", details, extra)]


def _received_type(link: list[Any], graph: Mapping[str, Any], catalogue: Mapping[str, Any]) -> Any:
    source, slot = link
    if not isinstance(source, str) or source not in graph:
        raise Broken("KeyError", repr(source))
    outputs = catalogue[graph[source]["class_type"]].get("output") or []
    if not isinstance(slot, int):
        raise Broken("TypeError", f"tuple indices must be integers or slices, not {type(slot).__name__}")
    try:
        return outputs[slot]
    except IndexError:
        raise Broken("IndexError", "tuple index out of range") from None


def inner_failure(declared: NodeInput, link: list[Any], broken: Broken) -> Complaint:
    """Say of the node that a link leads to that it could not be checked."""
    extra = {
        **about(declared),
        "exception_message": str(broken),
        "exception_type": broken.kind,
        "traceback": [],
        "linked_node": link,
    }
    message = "Exception when validating inner node"
    return complaint("exception_during_inner_validation", message, str(broken), extra)


def check_files(schema: NodeSchema, inputs: Mapping[str, Any], file_exists: FileExists) -> list[Complaint]:
    """Do what the core's own VALIDATE_INPUTS do: is the file there? Raises Broken for a value that is no name."""
    found = []
    for declared in schema.files:
        value = inputs.get(declared.name)
        if isinstance(value, Mapping) and "__value__" in value:
            value = value["__value__"]
        if declared.name not in inputs or isinstance(value, list) or value in ("", "none"):
            continue
        if not isinstance(value, str):
            raise Broken("AttributeError", f"'{type(value).__name__}' object has no attribute 'endswith'")
        name = file_of(value)
        if name is not None and file_exists(name):
            continue
        for one in [*inputs] if schema.speaks_for_all else [declared.name]:
            details = f"{one} - Invalid {declared.file_word} file: {value}"
            extra = {"input_name": one}
            found.append(complaint("custom_validation_failed", "Custom validation failed for node", details, extra))
    return found
