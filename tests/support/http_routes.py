"""The addresses of an application, read from the application itself, so that no test can forget one."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI

Address = tuple[str, str]
"""Method (or WS) and path pattern."""


def addresses(app: FastAPI) -> list[Address]:
    """Every (method, path) of the application; HEAD beside GET is left out where the framework adds it."""
    return sorted(set(_walk(app.routes)))


def _walk(routes: Iterable[Any]) -> Iterator[Address]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _walk(inner.routes)
        elif getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods)
        elif hasattr(route, "path"):
            yield ("WS", route.path)
