"""Nothing secret reaches the log, whoever writes the line and wherever the secret stands."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from services.kit.logs import REDACTED, configure_logs, get_logger, redact, redact_text

TOKEN = "cme_" + "a1-_" * 10 + "xyz"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is written while the logs are configured as in a service; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, sys.stderr
    sys.stderr = written = io.StringIO()
    configure_logs("INFO")
    yield written
    sys.stderr = stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        f"token {TOKEN} was sent",
        f"Authorization: Bearer {TOKEN}",
        "Authorization: Bearer abcdefghijklmnop.qrst",
        "authorization: Basic dXNlcjpwYXNzd29yZA==",
        "redis://:hunter2hunter2@127.0.0.1:6379/0",
        "redis://user:hunter2hunter2@host/0",
    ],
)
def test_secrets_inside_a_text_are_taken_out(text: str) -> None:
    clean = redact_text(text)
    assert REDACTED in clean
    for secret in (TOKEN, "hunter2", "dXNlcjpw", "abcdefghijklmnop"):
        assert secret not in clean


def test_values_under_secret_names_are_taken_out_at_every_depth() -> None:
    value = {"a": [{"X-Lease-Token": "t"}, {"password": 5}], "redis_secret": "s", "name": "alice"}
    assert redact(value) == {
        "a": [{"X-Lease-Token": REDACTED}, {"password": REDACTED}],
        "redis_secret": REDACTED,
        "name": "alice",
    }


def test_a_text_without_secrets_stays_as_it_is_and_a_long_one_is_cut() -> None:
    assert redact_text("job 5 of alice waits") == "job 5 of alice waits"
    assert len(redact_text("x" * 1_000_000)) < 10_000


def test_lines_of_the_service_of_libraries_and_of_tracebacks_are_clean_json(lines: io.StringIO) -> None:
    get_logger("a").info("came in", token=TOKEN, header=f"Bearer {TOKEN}", data={"cookie": "c"})
    logging.getLogger("library").warning("cannot reach %s", "redis://:hunter2hunter2@host/0")
    try:
        raise ValueError(f"bad token {TOKEN}")
    except ValueError:
        get_logger("a").exception("broke")
    written = lines.getvalue()
    assert [json.loads(line)["event"].split(" ")[0] for line in written.splitlines()] == ["came", "cannot", "broke"]
    assert TOKEN not in written
    assert "hunter2" not in written
    assert "ValueError" in written


def test_lines_below_the_level_are_not_written(lines: io.StringIO) -> None:
    get_logger("quiet").debug("never")
    assert lines.getvalue() == ""
