"""Fills the templates of `infra/templates`; a name that a template asks for and nobody gives is an error."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """`infra/templates/<template>` with `values`; configuration, not HTML, so nothing is escaped."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    return environment.get_template(template).render(**values)
