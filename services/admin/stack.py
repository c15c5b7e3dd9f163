"""The stack as the deployment described it: the file of outputs, read again when it changes."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from services.domain.stack_outputs import ContainerOutput, StackOutputs

ONE_MACHINE = "There are no stack outputs: this workshop runs on one machine."


class StackFile:
    """Reads the outputs; `problem` says why there are none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self.outputs: StackOutputs | None = None
        self.problem: str | None = ONE_MACHINE

    def refresh(self) -> None:
        """Look at the file again. One that makes no sense leaves what was read before, and says so."""
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            self.outputs = StackOutputs.model_validate_json(self._path.read_bytes())
            self._stamp, self.problem = stamp, None
        except FileNotFoundError:
            self.outputs, self._stamp, self.problem = None, None, ONE_MACHINE
        except (OSError, ValidationError):
            self._stamp = None
            self.problem = "The stack outputs cannot be read; run `make outputs`, then `make up` for the stack."


def containers_of(outputs: StackOutputs, participants: Iterable[str]) -> list[ContainerOutput]:
    """Every container: those that the outputs name, and one web UI for each participant."""
    web_uis = [
        outputs.frontend.model_copy(
            update={
                "name": outputs.frontend.name.replace("{name}", name),
                "health_url": (outputs.frontend.health_url or "").replace("{name}", name) or None,
            }
        )
        for name in sorted(participants)
    ]
    return [*outputs.containers, *web_uis]
