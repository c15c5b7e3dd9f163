"""One stack and the engine's operations on it: what each would do or did, as steps with names.

The repository's own program runs inside this process, so no language host is needed; state and secrets are the user's.
"""

import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import ConcurrentUpdateError, StackNotFoundError

from infra.operate.backend import check_environment, engine_command
from infra.rehearsal.outcomes import Outcome, Step
from infra.repository import REPOSITORY
from infra.settings_refusals import NAMESPACE
from services.domain.errors import NotFound, Unavailable

OnStep = Callable[[Step], None]


_ALL_UPDATES = 1_000_000
"""The CLI gives the last ten unless it is told a page's size."""


class _Stack(automation.Stack):
    """Without what the SDK asks further CLI processes for after each operation; each costs a second of key making."""

    def outputs(self) -> automation.OutputMap:
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        del show_secrets
        return automation.UpdateSummary("", datetime.now(UTC), "", {}, {}, "")


class Deployment:
    """A stack that exists in the backend."""

    def __init__(self, stack: "_Stack") -> None:
        self._stack = stack

    @property
    def name(self) -> str:
        return self._stack.name

    def preview(self) -> Outcome:
        """What an update would do."""
        return self._run("preview", self._stack.preview)

    def up(self, message: str, on_step: OnStep) -> Outcome:
        """Update; `message` stays in the stack's history."""
        return self._run("up", self._stack.up, on_step, message=message, show_secrets=False)

    def drift(self) -> Outcome:
        """What is otherwise at the providers than the state says; nothing is changed, the state neither."""
        return self._run("drift", self._stack.preview_refresh, show_secrets=False, run_program=True)

    def preview_destroy(self) -> Outcome:
        """What `destroy` would delete."""
        return self._run("preview", self._stack.preview_destroy, exclude_protected=True, show_secrets=False)

    def destroy(self, message: str, on_step: OnStep) -> Outcome:
        """Delete all that is not protected; a GPU host backs itself up first, or stays."""
        options = {"exclude_protected": True, "message": message, "show_secrets": False}
        return self._run("down", self._stack.destroy, on_step, **options)

    def resources(self) -> list[dict[str, Any]]:
        """The resources of the state, secrets encrypted."""
        found: list[dict[str, Any]] = (self._stack.export_stack().deployment or {}).get("resources", [])
        return found

    def export(self) -> dict[str, Any]:
        """The exported state, secrets encrypted."""
        return {"deployment": self._stack.export_stack().deployment or {}}

    def outputs(self) -> Mapping[str, Any]:
        """The stack's outputs by name."""
        return {name: output.value for name, output in automation.Stack.outputs(self._stack).items()}

    def secret(self, name: str) -> str:
        """A secret setting in plain text: for use, never for showing."""
        return self._stack.get_config(f"{NAMESPACE}:{name}").value

    def history(self) -> list[automation.UpdateSummary]:
        """The updates, newest first, without secrets."""
        return self._stack.history(show_secrets=False, page_size=_ALL_UPDATES, page=1)

    def _run(
        self, operation: str, act: Callable[..., Any], on_step: OnStep = lambda _step: None, **options: Any
    ) -> Outcome:
        outcome = Outcome(operation)
        lines: list[str] = []

        def note(event: automation.EngineEvent) -> None:
            before = len(outcome.steps)
            outcome.note(event)
            for step in outcome.steps[before:]:
                on_step(step)

        try:
            act(
                on_event=note, on_output=lines.append, on_error=lines.append, color="never", suppress_progress=True,
                suppress_outputs=True, **options,
            )  # fmt: skip
        except ConcurrentUpdateError:
            raise Unavailable(
                f"{self.name}: another update holds the stack, or one that was killed left its lock; wait for it, or, "
                f"when none runs, remove the lock with `pulumi cancel --stack {self.name}`."
            ) from None
        except Exception as error:  # the program runs in here too: it may raise anything
            outcome.error = str(error) or type(error).__name__
        outcome.text = "\n".join(lines)
        return outcome


@contextmanager
def deployment(stack: str, folder: Path, *, may_create: bool = False) -> Iterator[Deployment]:
    """The stack of that name, with Pulumi.yaml and its stack file in `folder`.

    Raises:
        InvalidInput: the environment lacks what finds or opens the state.
        NotFound: the stack was never deployed, and this verb does not begin it.
    """
    check_environment()
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    with engine_command() as command:
        workspace = automation.LocalWorkspace(
            work_dir=str(folder), pulumi_command=command, env_vars=_QUIET, program=_program_of(folder)
        )
        try:
            selected = _Stack(stack, workspace, StackInitMode.CREATE_OR_SELECT if may_create else StackInitMode.SELECT)
        except StackNotFoundError:
            raise NotFound(
                f"STACK: {stack} has never been deployed to this backend; begin with `make up STACK={stack}`, or "
                "correct PULUMI_BACKEND_URL."
            ) from None
        yield Deployment(selected)


_QUIET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_SUPPRESS_NEO_LINK": "true",
    # Set, it contradicts a preview of a deletion for the CLI; what is really done here says yes by itself.
    "PULUMI_SKIP_CONFIRMATIONS": "false",
    "PULUMI_PYTHON_CMD": sys.executable,
}


def _program_of(folder: Path) -> Callable[[], None]:
    """The program beside the stack files, as Pulumi would run it; where there is none, this repository's."""
    own = folder / "__main__.py"
    path = own if own.is_file() else REPOSITORY / "__main__.py"

    def program() -> None:
        runpy.run_path(str(path), run_name="__main__")

    return program
