"""What every change at Verda keeps to: a name is created once, a deletion of what is gone is a success."""

from collections.abc import Callable
from typing import TypeVar

from infra.verda import errors
from infra.verda.waiting import Clock, until

T = TypeVar("T")

# How long a create whose answer was lost may take to show up in Verda's lists.
SHOWS_UP_SECONDS = 20.0


def create_once(create: Callable[[], T], find: Callable[[], T | None], clock: Clock) -> T:
    """What `create` makes; when its answer is lost, what `find` finds of it. Raises when nothing was made.

    A refusal with a reason is final; only an answer that is none ("500 but created", a time-out) is looked into.
    """
    try:
        return create()
    except errors.VerdaUnavailable:
        made = shows_up(find, clock)
        if made is None:
            raise
        return made


def shows_up(find: Callable[[], T | None], clock: Clock) -> T | None:
    """What `find` finds within the time that Verda's lists may lag behind."""
    try:
        return until(find, clock=clock, seconds=SHOWS_UP_SECONDS, sentence="")
    except (errors.DeadlinePassed, errors.VerdaUnavailable):
        return None


def ignoring_gone(delete: Callable[[], object]) -> None:
    """Delete; what somebody else has deleted already is as good."""
    try:
        delete()
    except errors.NotAtVerda:
        return


def only(what: str, found: list[T]) -> T | None:
    """The one thing found, or None; raises Ambiguous when there are several: a guess could delete the wrong one."""
    if len(found) > 1:
        raise errors.Ambiguous(f"{len(found)} {what} at Verda; remove all but the right one in Verda's console.")
    return found[0] if found else None
