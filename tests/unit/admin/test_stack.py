"""The stack's outputs as the console reads them: a file that may be missing, broken, replaced."""

from pathlib import Path

from services.admin.stack import ONE_MACHINE, StackFile, containers_of
from services.domain.stack_outputs import StackOutputs
from tests.support.console import stack_outputs, write_outputs


def test_without_a_file_the_workshop_runs_on_one_machine(tmp_path: Path) -> None:
    for path in (None, tmp_path / "outputs.json"):
        file = StackFile(path)
        file.refresh()
        assert (file.outputs, file.problem) == (None, ONE_MACHINE)


def test_a_broken_file_leaves_what_was_read_before_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    file = StackFile(path)
    write_outputs(path, stack_outputs())
    file.refresh()
    assert file.problem is None
    for broken in ("", "{", '{"version": 2}'):
        path.write_text(broken)
        file.refresh()
        assert file.outputs is not None
        assert file.problem is not None
        assert "cannot be read" in file.problem
    write_outputs(path, stack_outputs())
    file.refresh()
    assert file.problem is None
    path.unlink()
    file.refresh()
    assert file.problem == ONE_MACHINE


def test_each_participant_has_a_web_ui_among_the_containers() -> None:
    outputs = StackOutputs.model_validate(stack_outputs(auth="http://auth:8170/healthz"))
    outputs = outputs.model_copy(
        update={"frontend": outputs.frontend.model_copy(update={"health_url": "http://frontend-{name}:8188/healthz"})}
    )
    asked = {one.name: one.health_url for one in containers_of(outputs, ["bob", "anna"])}
    assert asked == {
        "comfyume-test-auth": "http://auth:8170/healthz",
        "comfyume-test-frontend-anna": "http://frontend-anna:8188/healthz",
        "comfyume-test-frontend-bob": "http://frontend-bob:8188/healthz",
    }
