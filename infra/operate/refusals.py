"""What a verb of a stack can be refused for, beside what is wrong with its input."""

from services.domain.errors import WorkshopError


class NotNow(WorkshopError):
    """People are working, or nobody has said yes; nothing was changed."""

    exit_code = 3
    code = "not_now"


class StackFailed(WorkshopError):
    """The engine did not get to the end; what was done is recorded in the state."""

    exit_code = 1
    code = "stack_failed"
