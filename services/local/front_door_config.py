"""Fills nginx's configuration template for the workshop on one machine."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.domain.front_door import FrontDoor

TEMPLATES = Path(__file__).parents[2] / "infra" / "templates" / "nginx"
"""The one template that the stack uses as well; services read it as a file and import nothing of infra."""


def render_front_door(door: FrontDoor) -> str:
    """nginx's whole configuration. It holds the door's secret: write it readable by its owner only."""
    # nginx's configuration is no HTML; every value is checked by FrontDoor's types.
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=False)  # noqa: S701
    return environment.get_template("nginx.conf.j2").render(door=door)
