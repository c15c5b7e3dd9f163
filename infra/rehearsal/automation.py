"""Run the real engine over this repository's own program and stack files, against the stand-in clouds.

A rehearsal is one folder: `project` (scratch copies of Pulumi.yaml and the stack file), `home` (the engine's home with
the stand-ins as its plugins), `state` (a file backend) and `cloud` (what exists there). Nothing outside it is touched,
no credential is read, and the program runs in this process (`command_line.py` is the way through the CLI).

    rehearsal = Rehearsal(tmp_path, stack="staging")
    rehearsal.set_secret("comfyume:hcloud_token", made_up.token())
    assert rehearsal.preview().count("create", "hcloud:index/server:Server") == 1
    rehearsal.up()
    rehearsal.with_setting("comfyume:gpu.count", 1).preview()
"""

from __future__ import annotations

import functools
import json
import runpy
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation._stack import StackInitMode

from infra.rehearsal import engine, made_up
from infra.rehearsal.outcomes import DeploymentFailed, Outcome
from infra.rehearsal.providers.cloud import FOLDER_VARIABLE, MACHINES_VARIABLE, Cloud
from infra.rehearsal.providers.install import install
from infra.rehearsal.stack_file import StackFile
from infra.repository import REPOSITORY


class _Stack(automation.Stack):
    """Without what the SDK asks further CLI processes for after each operation, and a rehearsal seldom wants."""

    def outputs(self) -> automation.OutputMap:
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        return automation.UpdateSummary("", datetime.now(UTC), "", {}, {}, "")


class Rehearsal:
    """One stack, rehearsed in one folder.

    `source` holds Pulumi.yaml, the stack file and `__main__.py`. With `machines=False` nothing real is started:
    addresses are invented and commands only recorded. `environment` goes to the engine and all its plugins and may be
    added to.

    Raises:
        EngineMissing: there is no Pulumi CLI here, and none can be built.
    """

    def __init__(
        self, folder: Path, *, stack: str = "staging", source: Path = REPOSITORY, machines: bool = False
    ) -> None:
        _let_cut_off_programs_go()
        self.folder = folder.resolve()
        self.stack = stack
        self.source = source
        self.canaries: dict[str, tuple[str, ...]] = {}
        self.cloud = Cloud(self.folder / "cloud")
        self._passphrase = secrets.token_urlsafe(16)
        self._prepare_home()
        self.settings = self._prepare_project()
        self.environment = {
            **engine.quiet_environment(self.folder / "home", self.folder / "state", self._passphrase),
            FOLDER_VARIABLE: str(self.cloud.folder),
            MACHINES_VARIABLE: "real" if machines else "none",
        }
        self._selected: _Stack | None = None

    # -- settings -----------------------------------------------------------------------------------------------------

    def with_setting(self, key: str, value: Any) -> Rehearsal:
        """Change the scratch stack file: `comfyume:gpu.count` reaches into a section; None takes the setting away."""
        self.settings.set(key, value)
        return self

    def set_secret(self, key: str, secret: made_up.MadeUp) -> None:
        """Set a secret setting, encrypted, and remember its canaries."""
        self.settings.set_secret(key, secret.value)
        self.canaries[key] = secret.canaries

    def found_canaries(self, texts: Iterable[str]) -> list[str]:
        """The secret settings of which a piece stands in one of these texts."""
        whole = "\n".join(texts)
        return [key for key, pieces in self.canaries.items() if any(made_up.is_in(piece, whole) for piece in pieces)]

    # -- operations ---------------------------------------------------------------------------------------------------

    def preview(self, *, expect_no_changes: bool = False, may_fail: bool = False, refresh: bool = False) -> Outcome:
        """What an `up` would do. With `expect_no_changes` any change is a failure, as for the CLI."""
        options = {"expect_no_changes": expect_no_changes, "refresh": refresh}
        return self._run("preview", self._stack.preview, may_fail, **options)

    def up(self, *, may_fail: bool = False, refresh: bool = False) -> Outcome:
        """Deploy."""
        return self._run("up", self._stack.up, may_fail, refresh=refresh, show_secrets=False)

    def refresh(self, *, may_fail: bool = False, clear_pending_creates: bool = False) -> Outcome:
        """Bring the state in line with the cloud."""
        options = {"clear_pending_creates": clear_pending_creates, "show_secrets": False}
        return self._run("refresh", self._stack.refresh, may_fail, **options)

    def destroy(self, *, may_fail: bool = False, run_program: bool = True) -> Outcome:
        """Remove what is not kept."""
        return self._run("destroy", self._stack.destroy, may_fail, run_program=run_program, show_secrets=False)

    def cancel(self) -> None:
        """Remove the lock that a killed engine left."""
        self._stack.cancel()

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secret ones opened: not to be printed."""
        return {name: output.value for name, output in automation.Stack.outputs(self._stack).items()}

    def state(self) -> dict[str, Any]:
        """The state as it lies in the backend, secrets encrypted; empty before the first `up`."""
        files = list((self.folder / "state" / ".pulumi" / "stacks").glob(f"*/{self.stack}.json"))
        checkpoint = json.loads(files[0].read_text())["checkpoint"] if files else {}
        return dict(checkpoint.get("latest") or {})

    def state_text(self) -> str:
        """The state as text, for searching in."""
        return json.dumps(self.state())

    def resources(self, type_: str = "") -> list[dict[str, Any]]:
        """The resources of the state, or those of one type."""
        return [entry for entry in self.state().get("resources", []) if not type_ or entry["type"] == type_]

    # -- how ----------------------------------------------------------------------------------------------------------

    def _run(self, operation: str, act: Callable[..., Any], may_fail: bool, **options: Any) -> Outcome:
        outcome = Outcome(operation)
        lines: list[str] = []
        begun = time.monotonic()
        try:
            act(
                on_event=outcome.note, on_output=lines.append, on_error=lines.append, color="never",
                suppress_progress=True, **options,
            )  # fmt: skip
        except Exception as error:  # the program runs in here too: it may raise anything
            outcome.error = str(error) or type(error).__name__
        outcome.seconds = time.monotonic() - begun
        outcome.text = "\n".join([*lines, outcome.error])
        if outcome.error and not may_fail:
            raise DeploymentFailed(outcome)
        return outcome

    @property
    def _stack(self) -> _Stack:
        if self._selected is None:
            options = automation.LocalWorkspaceOptions(
                work_dir=str(self.folder / "project"),
                env_vars=self.environment,
                pulumi_command=automation.PulumiCommand(root=str(self.folder / "home"), skip_version_check=True),
            )
            options.program = self._program
            workspace = automation.LocalWorkspace(**vars(options))
            self._selected = _Stack(self.stack, workspace, StackInitMode.CREATE_OR_SELECT)
        return self._selected

    def _program(self) -> None:
        runpy.run_path(str(self.source / "__main__.py"), run_name="__main__")

    def _prepare_home(self) -> None:
        executable = engine.ensure()
        home, state = self.folder / "home", self.folder / "state"
        (home / "bin").mkdir(parents=True, exist_ok=True)
        state.mkdir(exist_ok=True)
        link = home / "bin" / "pulumi"
        link.unlink(missing_ok=True)
        link.symlink_to(executable)
        install(home)

    def _prepare_project(self) -> StackFile:
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        for name in ("Pulumi.yaml", f"Pulumi.{self.stack}.yaml"):
            if (self.source / name).exists():
                shutil.copyfile(self.source / name, project / name)
        return StackFile(project / f"Pulumi.{self.stack}.yaml", self._passphrase)


@functools.cache
def _let_cut_off_programs_go() -> None:
    """Say nothing when the coroutines of a program whose engine is gone are collected at last: they always complain.

    Not only for silence: what prints the complaint parses source code, and must not do so amidst another parse.
    """
    hook = sys.unraisablehook

    def quieter(unraisable: sys.UnraisableHookArgs) -> None:
        if getattr(unraisable.object, "__qualname__", "") not in ("run_in_stack", "run_pulumi_func"):
            hook(unraisable)

    sys.unraisablehook = quieter
