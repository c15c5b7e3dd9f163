"""Logs of every service: one JSON object a line on standard error, with secrets taken out before anything is written.

Responsible for the form of a line and for the redaction; what is worth a line is decided by the caller. The filter
sits in front of the standard library's root handler too, so lines of uvicorn and other libraries pass through it.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

REDACTED = "[redacted]"

_SECRET_KEYS = re.compile(r"(token|password|secret|authorization|cookie|api_key)$", re.IGNORECASE)
_SECRET_TEXTS = (
    (re.compile(r"cme_[A-Za-z0-9_-]{8,}"), REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s*[,:]?\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 " + REDACTED),
    (re.compile(r"://([^\s/:@]*):[^\s/@]+@"), r"://\1:" + REDACTED + "@"),
)
_MAX_TEXT = 8_000
"""Characters of one value that reach the log: enough for a traceback, too little to fill a disk with one request."""


def redact_text(text: str) -> str:
    """Return `text` without tokens, bearer values and passwords inside addresses, cut to a bounded length."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def redact(value: Any) -> Any:
    """Return `value` (text, mapping or list, nested) with every secret replaced."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {k: REDACTED if _SECRET_KEYS.search(str(k)) else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _redact_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in line:
        if key.startswith("_"):
            continue  # structlog's own fields, removed before the line is written
        line[key] = REDACTED if _SECRET_KEYS.search(key) else redact(line[key])
    return line


def configure_logs(level: str = "INFO") -> None:
    """Send structlog's and the standard library's lines to standard error as redacted JSON, from `level` upwards."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Lines below the level cost next to nothing: their methods do nothing.
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact_line,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers[:] = []
        library.propagate = True
    # Its lines "127.0.0.1 - connection open" say nothing that the access log does not.
    logging.getLogger("websockets").setLevel(logging.WARNING)


def get_logger(name: str) -> Any:
    """Return the structlog logger called `name`; bind fields to it with `.bind(...)`."""
    return structlog.get_logger(name)
