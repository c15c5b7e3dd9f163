"""Names of people, machines and roles, as they appear in addresses, folders and credentials."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$|^[a-z]$"
"""Lower-case letters, digits and hyphens: safe as a folder, a host name and a part of a Redis key."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=32)]
"""A participant's, instructor's, operator's or worker's name."""


RESERVED_NAMES = frozenset({"admin", "api", "health", "sign-in", "sign-out"})
"""Addresses of the front door itself: no participant may be called so, or her workspace would take their place."""


class Role(StrEnum):
    """What a credential allows; each credential has exactly one role."""

    PARTICIPANT = "participant"
    INSTRUCTOR = "instructor"
    OPERATOR = "operator"
    WORKER = "worker"


def is_name(text: str) -> bool:
    """Say whether `text` may be used as a name.

    `fullmatch`, because `$` also matches in front of a final line feed.
    """
    return re.fullmatch(NAME_PATTERN, text) is not None
