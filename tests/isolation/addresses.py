"""Every address that the front door, the sign-in and a web UI serve, read from themselves so that none is forgotten."""

import re
from dataclasses import dataclass
from pathlib import Path

from services.auth.app import create_app as create_sign_in
from services.auth.settings import AuthSettings
from services.domain.front_door import FrontDoor
from services.frontend.app import create_app as create_web_ui
from services.frontend.settings import FrontendSettings
from services.local.front_door_config import render_front_door
from tests.support.http_routes import addresses as fastapi_addresses

EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE")
_LOCATION = re.compile(r"^ *location +(?:(=|~\*?|\^~) +)?(\S+) *\{", re.MULTILINE)
_ALTERNATIVES = re.compile(r"\^/\(([a-z|-]+)\)\$")
_PAGE_FILES = re.compile(r"\^(/[a-z0-9-]+/)\(\?<page_file>\(([a-z|]+)\)/\.\+\)\$")
_PARAMETER = re.compile(r"\{[^}]+\}")


@dataclass(frozen=True)
class Address:
    """A method and a path; `{...}` in it stands for whatever a client puts there."""

    method: str
    path: str

    @property
    def has_parameters(self) -> bool:
        """Whether there is something to put in."""
        return _PARAMETER.search(self.path) is not None

    def filled(self, value: str) -> str:
        """The path with `value` (percent-encoded already) in every place."""
        return _PARAMETER.sub(lambda _: value, self.path)


def web_ui_addresses(folder: Path) -> list[Address]:
    """What one web UI serves; `folder` is an empty one for the application to be built in."""
    settings = FrontendSettings(participant="nobody", token_file=folder / "token", data_dir=folder)
    found = set()
    for route in create_web_ui(settings).router.routes():
        assert route.resource is not None
        methods = EVERY_METHOD if route.method == "*" else (route.method,)
        found |= {Address(method, route.resource.canonical) for method in methods}
    return sorted(found, key=lambda address: (address.path, address.method))


def sign_in_addresses(folder: Path) -> list[Address]:
    """What the sign-in serves, to nginx and through it."""
    settings = AuthSettings(accounts_dir=folder / "accounts", session_keys_file=folder / "session-keys")
    return [Address(method, path) for method, path in fastapi_addresses(create_sign_in(settings))]


def door_addresses(door: FrontDoor) -> list[Address]:
    """The locations of nginx's rendered configuration, the internal ones too."""
    paths: set[str] = set()
    for kind, path in _LOCATION.findall(render_front_door(door)):
        if not kind.startswith("~"):
            paths.add(path if path.startswith("/") else f"/{path}")
            continue
        if files := _PAGE_FILES.fullmatch(path):
            paths |= {f"{files[1]}{folder}/{{file}}" for folder in files[2].split("|")}
            continue
        alternatives = _ALTERNATIVES.fullmatch(path)
        assert alternatives, f"a location of a new form: {path}; teach this function to read it"
        paths |= {f"/{name}" for name in alternatives[1].split("|")}
    return [Address(method, path) for path in sorted(paths) for method in EVERY_METHOD]
