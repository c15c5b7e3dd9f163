"""What an image is made of, as twelve characters: the same sources give the same tag, on every machine and day.

Docker sees what the allow-list beside a Dockerfile lets through (`<Dockerfile>.dockerignore`: `*`, then `!path`), so
the tag is made of just that. An edit anywhere else leaves image and containers as they are.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pathspec


def content_of(service: str, build_args: Mapping[str, str], repository: Path) -> str:
    """Twelve hex digits of everything that decides what `images/<service>` becomes.

    Raises:
        FileNotFoundError: there is no such image, or its allow-list names a path that does not exist.
    """
    recipe = repository / "images" / service / "Dockerfile"
    digest = hashlib.sha256(recipe.read_bytes())
    for name, value in sorted(build_args.items()):
        digest.update(f"\0{name}={value}".encode())
    for path in sorted(_context(recipe, repository)):
        digest.update(f"\0{path.relative_to(repository).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _context(recipe: Path, repository: Path) -> Iterator[Path]:
    lines = [line.strip() for line in recipe.with_name("Dockerfile.dockerignore").read_text().splitlines()]
    allowed = [line[1:].strip("/") for line in lines if line.startswith("!")]
    refused = pathspec.GitIgnoreSpec.from_lines(
        line for line in lines if line and not line.startswith(("!", "#")) and line != "*"
    )
    for entry in allowed:
        root = repository / entry
        if not root.exists():
            raise FileNotFoundError(
                f"{recipe.relative_to(repository)}.dockerignore lets {entry} through, which is missing"
            )
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and not refused.match_file(path.relative_to(repository).as_posix()):
                yield path
