"""Every setting as a table: the one in infra/README.md, printed from the model so that it cannot be wrong."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.settings import StackSettings
from infra.settings_refusals import is_secret, meaning


def settings_table() -> str:
    """Markdown: key, default, meaning; one line a setting, sections before what is in them."""
    lines = ["| setting | default | what it decides |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {default} | {words} |" for key, default, words in _rows(StackSettings, "")]
    return "\n".join(lines) + "\n"


def _rows(section: type[BaseModel], prefix: str, given: BaseModel | None = None) -> Iterator[tuple[str, str, str]]:
    """`given` is what the section is by default, where the section around it says so."""
    for name, field in section.model_fields.items():
        inner, step = _inner(field.annotation)
        if inner is None:
            default = getattr(given, name) if given else None if field.is_required() else field.default
            yield f"{prefix}{name}", _in_words(field, default, given is not None), meaning(field).replace("|", "\\|")
        else:
            around = getattr(given, name, field.default)
            yield from _rows(inner, f"{prefix}{name}.{step}", around if isinstance(around, BaseModel) else None)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section behind a field, and the step in between: a name, or a place in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    steps: dict[Any, str] = {dict: "NAME.", list: "N."}
    for kind in get_args(annotation):
        found, _ = _inner(kind)
        if found:
            return found, steps.get(get_origin(annotation), "")
    return None, ""


def _in_words(field: FieldInfo, value: Any, is_given: bool) -> str:
    if is_secret(field.annotation):
        return "secret" if field.is_required() else "secret, may be missing"
    if field.is_required() and not is_given:
        return "must be set"
    if value is None or value in ([], ""):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
