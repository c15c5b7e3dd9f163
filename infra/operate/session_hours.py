"""Whether people are working right now: then a stack is left alone unless somebody insists."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from infra.settings_refusals import NAMESPACE
from infra.settings_sections import SessionSettings
from services.domain.errors import InvalidInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def sessions_of(settings: Mapping[str, Any]) -> list[SessionSettings]:
    """The sessions of a stack file.

    Raises:
        InvalidInput: they are written wrongly; then nobody can say whether one is going on.
    """
    try:
        return [SessionSettings.model_validate(dict(entry)) for entry in settings.get(f"{NAMESPACE}:sessions") or ()]
    except (ValidationError, ValueError, TypeError):
        words = "cannot be read, so nobody can say whether a session is going on; `make preview` says what is wrong."
        raise InvalidInput(f"{NAMESPACE}:sessions: {words}") from None


def session_at(sessions: Iterable[SessionSettings], now: datetime) -> SessionSettings | None:
    """The session that is going on at `now` (with a time zone), or None. The end itself is outside.

    Raises:
        InvalidInput: this machine has no database of time zones.
    """
    for session in sessions:
        try:
            local = now.astimezone(ZoneInfo(session.time_zone))
        except ZoneInfoNotFoundError:
            words = f"{session.time_zone} is unknown on this machine; install the package tzdata."
            raise InvalidInput(f"{NAMESPACE}:sessions: {words}") from None
        if DAYS[local.weekday()] in session.days and session.start <= local.strftime("%H:%M") < session.end:
            return session
    return None


def in_words(session: SessionSettings) -> str:
    """`mon tue wed 09:00-18:00 Europe/Berlin`."""
    return f"{' '.join(session.days)} {session.start}-{session.end} {session.time_zone}"
