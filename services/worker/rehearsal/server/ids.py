"""The form of a prompt's id."""

import uuid
from typing import Any


def is_job_id(value: Any) -> bool:
    """Whether the value is a UUID in lower case with hyphens; nothing else is compared correctly later on."""
    if not isinstance(value, str):
        return False
    try:
        return str(uuid.UUID(value)) == value
    except ValueError:
        return False
