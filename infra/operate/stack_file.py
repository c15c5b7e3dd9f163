"""Changes to `Pulumi.<stack>.yaml`: comments stay, the file is never half written, and a refused change is undone."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.settings_refusals import NAMESPACE
from services.domain.errors import InvalidInput, NotFound

Settings = dict[str, Any]
"""The section `config:` of a stack file, by full key; a mapping that remembers its comments."""

Edit = Callable[[Settings], None]
"""Changes settings in place; raises InvalidInput or NotFound where that makes no sense."""


_LIST_IN_LINE = re.compile(r"^( *)[^\s#-][^\n]*:\n\1- ", re.MULTILINE)
"""A list whose dashes stand under its key instead of further in; a file keeps its way of writing."""


class StackFile:
    """The settings of one stack, as a person wrote them."""

    def __init__(self, folder: Path, stack: str) -> None:
        self.path = folder / f"Pulumi.{stack}.yaml"
        if not self.path.is_file():
            known = sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))
            raise NotFound(f"STACK: there is no {self.path.name}; the stacks here are {', '.join(known) or 'none'}.")
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = 10_000
        in_line = _LIST_IN_LINE.search(self.path.read_text(encoding="utf-8", errors="replace"))
        self._yaml.indent(mapping=2, sequence=2 if in_line else 4, offset=0 if in_line else 2)

    def settings(self) -> Settings:
        """What stands there now.

        Raises:
            InvalidInput: the file is no YAML, or has no `config:`.
        """
        return self._config(self._read())

    @contextmanager
    def changed(self, edit: Edit) -> Iterator[Callable[[], None]]:
        """Write the change, and take it back at the end unless the given function was called meanwhile."""
        before = self.path.read_bytes()
        document = self._read()
        edit(self._config(document))
        text = StringIO()
        self._yaml.dump(document, text)
        after = text.getvalue().encode()
        kept = False

        def keep() -> None:
            nonlocal kept
            kept = True

        try:
            self._write(after)
            yield keep
        finally:
            # Somebody else's edit of the meantime is not ours to throw away.
            if not kept and self.path.read_bytes() == after:
                self._write(before)

    def _read(self) -> Any:
        try:
            return self._yaml.load(self.path.read_text(encoding="utf-8"))
        except (YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}" if mark else ""
            raise InvalidInput(f"{self.path.name}: is no YAML{where}; correct it there.") from None

    def _config(self, document: Any) -> Settings:
        config = document.get("config") if isinstance(document, dict) else None
        if not isinstance(config, dict):
            raise InvalidInput(f"{self.path.name}: has no section `config:`; start from a committed stack file.")
        return config

    def _write(self, content: bytes) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        temporary.write_bytes(content)
        temporary.chmod(self.path.stat().st_mode)
        temporary.replace(self.path)


def section(settings: Settings, name: str) -> Settings:
    """A section of the settings, made where it is missing.

    Raises:
        InvalidInput: something else than a section stands there.
    """
    key = f"{NAMESPACE}:{name}"
    if settings.get(key) is None:
        settings[key] = {}
    found = settings[key]
    if not isinstance(found, dict):
        raise InvalidInput(f"{key}: has to be a section with keys of its own; correct it in the stack file.")
    return found
