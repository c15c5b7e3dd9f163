"""What is wrong with a stack file, as sentences: the key, the reason, the next step, and never a secret's value.

`infra/settings.py` finds what is wrong; this module only words it.
"""

import difflib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from services.domain.errors import InvalidInput
from services.domain.names import NAME_PATTERN

NAMESPACE = "comfyume"
SECTION = "has to be a section with keys of its own, in which `{{}}` stands for all defaults"
NAME = "has to be a name: lower-case letters, digits and hyphens, a letter first, at most 32 characters"

_REASONS = {
    "missing": "is missing",
    "bool_type": "has to be true or false",
    "int_type": "has to be a whole number, without quotes",
    "int_from_float": "has to be a whole number",
    "int_parsing_size": "is far too large",
    "float_type": "has to be a number, without quotes",
    "finite_number": "has to be a finite number",
    "string_type": "has to be text; put it in quotes",
    "list_type": "has to be a list",
    "dict_type": SECTION,
    "model_type": SECTION,
    "literal_error": "takes one of {expected}",
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be {ge} or more",
    "less_than_equal": "has to be {le} or less",
    "string_too_long": "may have {max_length} characters at most",
    "string_too_short": "is too short: {min_length} characters at least",
    "recursion_loop": "is nested too deeply",
}


class SettingsRefused(InvalidInput):
    """The stack file is wrong; nothing was touched. `problems` has one sentence a key, each with the next step."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        count = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        super().__init__("\n".join([f"{count} wrong; nothing was touched.", *(f"  {line}" for line in self.problems)]))


def is_secret(annotation: Any) -> bool:
    """Whether a setting of that type has to be encrypted in the stack file."""
    return SecretStr in (annotation, *get_args(annotation))


def how_to_set_secret(name: str) -> str:
    """The command, without the value: Pulumi asks for it, so that it is in no shell's history."""
    return f"`pulumi config set --secret {NAMESPACE}:{name}`"


def foreign_key(full_key: str) -> str:
    """A key that this program does not read."""
    return (
        f"{printable(full_key)}: is not read; this stack's settings begin with `{NAMESPACE}:`, so remove or rename it."
    )


def in_plain_text(name: str) -> str:
    """A secret that everybody who sees the stack file can read."""
    return (
        f"{NAMESPACE}:{name}: stands in the stack file in plain text; revoke it at its provider, then set the new one "
        f"with {how_to_set_secret(name)}."
    )


def sentences(model: type[BaseModel], detail: ErrorDetails) -> Iterator[str]:
    """One of pydantic's findings in the words of the stack file."""
    path = [str(part) for part in detail["loc"] if part != "[key]"]
    where = f"{NAMESPACE}:{'.'.join(printable(part) for part in path)}"
    if detail["type"] == "extra_forbidden":
        yield f"{where}: is not a setting; {_allowed_here(model, path)}"
    elif not path:
        yield f"{NAMESPACE}: the settings cannot be read as text; look for characters that are no Unicode."
    else:
        yield f"{where}: {_reason(model, detail)}; {_next_step(model, path)}"


def meaning(field: FieldInfo) -> str:
    """What a setting decides: its own description, or its section's."""
    section = _section_in(field.annotation)
    return (
        field.description or (inspect.getdoc(section) if section else None) or "infra/README.md says what it decides."
    )


def printable(part: str) -> str:
    """A key as one line of plain characters, also where somebody put something else into it."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in part[:64])
    return shown + "..." if len(part) > 64 else shown


def _reason(model: type[BaseModel], detail: ErrorDetails) -> str:
    context = detail.get("ctx") or {}
    kind = detail["type"]
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "too_long"):
        return _wrong_length(model, detail)
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME_PATTERN:
        return NAME
    if kind in _REASONS:
        return _REASONS[kind].format_map(context)
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _wrong_length(model: type[BaseModel], detail: ErrorDetails) -> str:
    context = detail.get("ctx") or {}
    if _is_secret_field(model, [str(part) for part in detail["loc"]]):
        return "is too short to be what it should be"
    if detail["type"] == "too_short":
        return f"needs {context['min_length']} or more entries"
    return f"takes {context['max_length']} entries at most"


def _is_secret_field(model: type[BaseModel], path: list[str]) -> bool:
    field = _field(model, path)
    return field is not None and is_secret(field.annotation)


def _next_step(model: type[BaseModel], path: list[str]) -> str:
    """What to do about a key that is a setting: the command for a secret, else what the value decides."""
    field = _field(model, path)
    if field is None:
        return "correct it in the stack file (infra/README.md has every setting)."
    if is_secret(field.annotation):
        return f"set it with {how_to_set_secret(path[0])}."
    return f"set it in the stack file: {meaning(field).rstrip('.')}."


def _allowed_here(model: type[BaseModel], path: list[str]) -> str:
    section = _section(model, path[:-1])
    names = sorted(section.model_fields) if section else []
    close = difflib.get_close_matches(path[-1], names, n=1)
    meant = f"did you mean `{close[0]}`? " if close else "remove it. "
    return f"{meant}Allowed here: {', '.join(names)}."


def _field(model: type[BaseModel], path: list[str]) -> FieldInfo | None:
    """The field that a path of keys leads to; for an entry of a list or a dictionary the field that holds it."""
    section = _section(model, path[:-1])
    if section is not None and path[-1] in section.model_fields:
        return section.model_fields[path[-1]]
    return _field(model, path[:-1]) if len(path) > 1 else None


def _section(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """The section that a path of keys leads to; a dictionary's names and a list's places are steps without a field."""
    section: type[BaseModel] | None = model
    steps = iter(path)
    for part in steps:
        field = section.model_fields.get(part) if section else None
        if field is None:
            return None
        section = _section_in(field.annotation)
        if get_origin(field.annotation) in (dict, list):
            next(steps, None)
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_in(inner) for inner in get_args(annotation) if inner is not annotation)
    return next((section for section in found if section), None)
