"""Pages and their headers: templates filled in, and a refusal as a page for people, as JSON for programs."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, Response

from services.domain.errors import WorkshopError

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}
"""With those that nginx adds to everything: nosniff, no framing, HTTPS only, no referrer to other sites."""

_templates = Environment(loader=FileSystemLoader(HERE / "templates"), undefined=StrictUndefined, autoescape=True)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """One of the templates, filled in; every value is escaped."""
    return HTMLResponse(_templates.get_template(template).render(**values), status, HEADERS)


def refusal(error: WorkshopError, accept: str) -> Response:
    """The answer for a refused request."""
    if "text/html" in accept:
        return page("refusal.html", error.status, sentence=error.message)
    return JSONResponse({"error": error.code, "detail": error.message}, error.status, HEADERS)
