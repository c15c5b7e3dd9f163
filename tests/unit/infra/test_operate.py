"""The parts of the verbs that need no engine: edits of stack files, session hours, prices, summaries."""

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from infra.operate import fleet, people
from infra.operate.backend import check_environment
from infra.operate.kept import kept_resources
from infra.operate.passwords import app_host
from infra.operate.rollback import restored
from infra.operate.session_hours import session_at, sessions_of
from infra.operate.settings_table import settings_table
from infra.operate.stack_file import Edit, Settings, StackFile
from infra.operate.summary import markdown, summary_of
from infra.rehearsal.outcomes import Outcome, Step
from services.domain.errors import InvalidInput, NotFound

ROOT = Path(__file__).resolve().parents[3]
TEXT = """\
# What this stack is for.
config:
  comfyume:domain: workshop.example.org  # the one on the posters
  comfyume:participants:
    anna: {}
    # sits by the door
    ben: {rekeyed: 2}
  comfyume:staff:
    ops: {role: operator}
  comfyume:gpu:
    count: 1
    instance_type: 1H200.141S.44V
  comfyume:hcloud_token:
    secure: v1:abc
encryptionsalt: v1:salt
"""


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    (tmp_path / "Pulumi.prod.yaml").write_text(TEXT, encoding="utf-8")
    return StackFile(tmp_path, "prod")


def after(file: StackFile, edit: Edit) -> str:
    """The stack file after an edit that is kept."""
    with file.changed(edit) as keep:
        keep()
    return file.path.read_text(encoding="utf-8")


# -- stack files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_committed_stack_file_stays_as_it_is_but_for_the_edit(stack: str, tmp_path: Path) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    (tmp_path / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
    file = StackFile(tmp_path, stack)

    assert after(file, lambda settings: None) == text
    assert set(after(file, people.added("dora", "participant")).splitlines()) - set(text.splitlines()) == {
        "    dora: {}"
    }


def test_lists_that_stand_under_their_key_stay_there(tmp_path: Path) -> None:
    text = "config:\n  comfyume:access:\n    public_keys:\n    - ssh-ed25519 AAAA\n  comfyume:participants: {}\n"
    (tmp_path / "Pulumi.prod.yaml").write_text(text, encoding="utf-8")

    assert after(StackFile(tmp_path, "prod"), lambda settings: None) == text


def test_comments_survive_an_edit(file: StackFile) -> None:
    text = after(file, people.rekeyed("ben"))

    assert text == TEXT.replace("rekeyed: 2", "rekeyed: 3")


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt])
def test_an_edit_is_undone_whatever_ends_it(file: StackFile, end: type[BaseException]) -> None:
    with pytest.raises(end), file.changed(people.removed("anna")):
        assert "anna" not in file.path.read_text(encoding="utf-8")
        raise end

    assert file.path.read_text(encoding="utf-8") == TEXT
    assert [path.name for path in file.path.parent.iterdir()] == ["Pulumi.prod.yaml"]


def test_somebody_elses_edit_of_the_meantime_is_not_thrown_away(file: StackFile) -> None:
    with file.changed(people.removed("anna")):
        file.path.write_text(TEXT + "# mine\n", encoding="utf-8")

    assert file.path.read_text(encoding="utf-8") == TEXT + "# mine\n"


def test_a_refused_edit_writes_nothing(file: StackFile) -> None:
    with pytest.raises(NotFound, match="NAME: nobody is called 'zoe' in this stack; there are anna, ben, ops"):
        after(file, people.removed("zoe"))

    assert file.path.read_text(encoding="utf-8") == TEXT


def test_a_missing_stack_file_is_named_with_those_that_are_there(file: StackFile) -> None:
    with pytest.raises(NotFound, match=r"there is no Pulumi\.live\.yaml; the stacks here are prod"):
        StackFile(file.path.parent, "live")


def test_a_broken_stack_file_is_refused_with_the_line(file: StackFile) -> None:
    file.path.write_text("config:\n  a: [1\n  b: 2\n", encoding="utf-8")

    with pytest.raises(InvalidInput, match="is no YAML at line"):
        file.settings()


# -- people and machines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda: people.added("anna", "participant"), "NAME: anna is there already; `make person-rekey NAME=anna`"),
        (lambda: people.added("Anna", "participant"), "NAME: has to be lower-case letters"),
        (lambda: people.added("", "participant"), "NAME: has to be lower-case letters"),
        (lambda: people.added("zoe", "boss"), "ROLE: takes one of participant, instructor, operator"),
        (lambda: fleet.count_set(4), "N: has to be 1 to 3"),
        (lambda: fleet.type_set(""), "TYPE: is missing; types with a known price are 1A100"),
        (lambda: fleet.type_set("1H200.141S.44V"), "TYPE: is 1H200.141S.44V already"),
        (lambda: restored({}), "TO: that update recorded no settings"),
    ],
)
def test_a_wrong_wish_is_refused_with_the_next_step(file: StackFile, edit: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        after(file, edit())

    assert sentence in refused.value.message
    assert file.path.read_text(encoding="utf-8") == TEXT


def test_staff_is_added_among_the_staff(file: StackFile) -> None:
    assert after(file, people.added("zoe", "instructor")) == TEXT.replace(
        "operator}\n", "operator}\n    zoe:\n      role: instructor\n"
    )


def test_the_price_of_the_gpu_hosts_has_its_basis(file: StackFile) -> None:
    settings = file.settings()
    assert fleet.in_words(settings).startswith("1 x 1H200.141S.44V: 2.80 EUR an hour, by Verda's price list")
    fleet.count_set(0)(settings)
    assert fleet.in_words(settings) == "No GPU host is rented; the shared filesystem and kept volumes cost on."


def test_a_rollback_takes_everything_back_but_the_secrets(file: StackFile) -> None:
    wanted: Settings = {
        "comfyume:domain": "workshop.example.org",
        "comfyume:participants": {"anna": {}, "carl": {}},
        "comfyume:staff": {"ops": {"role": "operator"}},
        "comfyume:queue": {"waiting_cap": 8},
    }
    text = after(file, restored(wanted))

    assert "  # the one on the posters" in text
    assert "secure: v1:abc" in text
    assert "gpu" not in text
    assert {key: value for key, value in file.settings().items() if "hcloud" not in key} == wanted


# -- session hours ----------------------------------------------------------------------------------------------------

WEEK = {"comfyume:sessions": [{"days": ["mon", "fri"], "start": "09:00", "end": "18:00", "time_zone": "Europe/Berlin"}]}


@pytest.mark.parametrize(
    ("moment", "going_on"),
    [
        (datetime(2026, 11, 23, 8, 0, tzinfo=UTC), True),  # Monday, 09:00 in Berlin
        (datetime(2026, 11, 23, 7, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 23, 16, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 17, 0, tzinfo=UTC), False),  # the end is outside
        (datetime(2026, 11, 24, 10, 0, tzinfo=UTC), False),  # Tuesday
        (datetime(2026, 7, 24, 7, 0, tzinfo=UTC), True),  # Friday, summer time
    ],
)
def test_a_session_is_meant_in_its_own_time_zone(moment: datetime, going_on: bool) -> None:
    assert (session_at(sessions_of(WEEK), moment) is not None) is going_on


def test_without_sessions_every_moment_will_do() -> None:
    assert session_at(sessions_of({}), datetime.now(UTC)) is None


def test_sessions_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(InvalidInput, match="comfyume:sessions: cannot be read"):
        sessions_of({"comfyume:sessions": [{"days": ["monday"]}]})


# -- summaries --------------------------------------------------------------------------------------------------------


def outcome(*steps: tuple[str, str], error: str = "", messages: tuple[str, ...] = ()) -> Outcome:
    """An operation in which these things happened to containers of these names."""
    done = [Step(op, "docker:index/container:Container", name, f"urn::{name}") for op, name in steps]
    return Outcome("up", steps=done, error=error, diagnostics=[("error", message) for message in messages])


def test_a_replacement_is_one_change_and_what_stays_is_none() -> None:
    steps = (
        ("same", "redis"),
        ("create-replacement", "a"),
        ("replace", "a"),
        ("delete-replaced", "a"),
        ("create", "b"),
    )
    summary = summary_of(outcome(*steps))

    assert [(change.op, change.name) for change in summary.changes] == [("create", "b"), ("replace", "a")]
    assert summary.counts() == "1 to create, 1 to replace"


def test_a_failure_is_never_silent_and_shows_no_traceback() -> None:
    crash = "Program failed\nTraceback (most recent call last):\n  File x\nKeyError: 'y'"
    repeated = ("a is wrong", "an unhandled error occurred: a is wrong")

    assert summary_of(outcome(error="code: 1\n stderr: error: no such flag")).errors == ["stderr: error: no such flag"]
    assert summary_of(outcome(messages=(crash,))).errors == ["The program failed: KeyError: 'y'"]
    assert summary_of(outcome(error="failed", messages=repeated)).errors == ["a is wrong"]


def test_the_report_names_what_is_deleted_first() -> None:
    report = markdown("prod", summary_of(outcome(("create", "frontend-zoe"), ("delete", "frontend-ben"))))

    assert report.splitlines() == [
        "<!-- preview of prod -->",
        "### `prod`: 1 to create, 1 to delete",
        "",
        "**Deleted or replaced:** `frontend-ben`",
        "",
        "```diff",
        "+ frontend-zoe (docker Container)",
        "- frontend-ben (docker Container)",
        "```",
    ]


def test_what_is_kept_has_a_price_or_says_whose() -> None:
    def entry(type_: str, name: str, **more: Any) -> dict[str, Any]:
        return {"type": type_, "urn": f"urn:pulumi::{name}", "custom": True, "inputs": {}, **more}

    kept = kept_resources(
        [
            entry("hcloud:index/server:Server", "app-host", protect=True, inputs={"serverType": "cax31"}),
            entry("pulumi-python:dynamic/verda:Volume", "gpu-1-scratch", retainOnDelete=True, inputs={"type": "NVMe"}),
            entry("docker:index/container:Container", "nginx"),
        ]
    )
    assert [(thing.name, thing.why, thing.price) for thing in kept] == [
        ("gpu-1-scratch", "kept on purpose", "Verda's price for its size"),
        ("app-host", "protected", "12.49 EUR a month, also when it is off"),
    ]


# -- the way to machine and state -------------------------------------------------------------------------------------


def test_the_app_host_is_found_with_its_pinned_key() -> None:
    known = {"address": "192.0.2.7", "port": 22, "host_key": "ssh-ed25519 AAAA"}
    found = app_host([{"urn": "urn:pulumi:prod::comfyume::x::app-host-host-key", "outputs": known}])

    assert (found.address, found.host_key) == ("192.0.2.7", "ssh-ed25519 AAAA")
    with pytest.raises(NotFound, match="the stack has no app host yet"):
        app_host([])


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "PULUMI_BACKEND_URL: is not set; say where the state lives: file:///"),
        ({"PULUMI_BACKEND_URL": "https://api.pulumi.com"}, "PULUMI_BACKEND_URL: has to begin with file:// or s3://"),
        ({"PULUMI_BACKEND_URL": "s3://state"}, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: are not set"),
        ({"PULUMI_BACKEND_URL": "file:///state"}, "PULUMI_CONFIG_PASSPHRASE: is not set"),
    ],
)
def test_an_environment_without_the_way_to_the_state_is_named(
    variables: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BACKEND_URL", "CONFIG_PASSPHRASE", "CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(f"PULUMI_{name}", raising=False)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setattr("sys.stdin", StringIO())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(InvalidInput) as refused:
        check_environment()
    assert refused.value.message.startswith(sentence)


# -- the page about it ------------------------------------------------------------------------------------------------


def test_the_readme_has_every_setting_in_the_words_of_the_model() -> None:
    assert settings_table() in (ROOT / "infra" / "README.md").read_text(encoding="utf-8"), (
        "print the table with `python -m infra.operate settings`"
    )
