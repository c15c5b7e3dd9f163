"""What the page about the web UI says is left out is left out."""

import re
from pathlib import Path

from services.frontend.app import create_app
from services.frontend.settings import FrontendSettings

README = Path(__file__).parents[3] / "services" / "frontend" / "README.md"


def test_a_route_that_the_readme_calls_left_out_is_not_there_or_answers_404(tmp_path: Path) -> None:
    app = create_app(FrontendSettings(participant="alice", token_file=tmp_path / "token", data_dir=tmp_path))
    served = {route.resource.canonical for route in app.router.routes() if route.resource is not None}
    rows = re.findall(r"^\| (`/[^|]+) \| ([^|]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    routes = {route: answer for row, answer in rows for route in re.findall(r"`(/[^`]+)`", row)}
    assert routes["/api/assets"] == "404"
    assert not [path for path in served if path.startswith(("/api/assets", "/api/tags", "/api/customnode"))]
    known = {route for route in routes if not route.startswith("/api/") and "..." not in route}
    assert known <= served
