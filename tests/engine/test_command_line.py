"""What a person types: the same program through the `pulumi` command and a language host."""

import pytest

from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.command_line import CommandLine

pytestmark = pytest.mark.engine

CHANGES_FOUND = 7
"""Exit status of `--expect-no-changes` when there are changes."""


def test_a_person_can_type_preview_and_up(small: Rehearsal) -> None:
    pulumi = CommandLine(small)
    typed = {words: pulumi.run(words) for words in ("stack init staging", "preview", "up --yes --skip-preview")}
    quiet = pulumi.run("preview --expect-no-changes")
    small.with_setting("comfyume:people", ["alice"])
    changed = pulumi.run("preview --expect-no-changes")

    assert {words: said.status for words, said in typed.items()} == dict.fromkeys(typed, 0), typed
    assert "9 created" in typed["up --yes --skip-preview"].text
    assert (quiet.status, changed.status) == (0, CHANGES_FOUND)
    assert small.found_canaries([said.text for said in (*typed.values(), quiet, changed)]) == []


def test_an_error_of_the_program_is_shown_as_its_sentence(small: Rehearsal) -> None:
    pulumi = CommandLine(small)
    pulumi.run("stack init staging")
    small.with_setting("comfyume:people", None)
    refused = pulumi.run("preview")

    assert refused.status != 0
    assert "Missing required configuration variable 'comfyume:people'" in refused.text
    assert "Traceback" not in refused.text
