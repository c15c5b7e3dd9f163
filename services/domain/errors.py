"""The errors of the workshop: one class for each thing that can be refused.

Each class knows its HTTP status, its exit code on the command line and the word (`code`) that machines read. The
message is one sentence for a person: it names the field or thing at fault and says what to do next.
"""

from typing import Any, ClassVar


class WorkshopError(Exception):
    """The request could not be carried out."""

    status: ClassVar[int] = 400
    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, node_errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.node_errors = node_errors or {}


class InvalidInput(WorkshopError):
    """A field of the request is missing, has the wrong type or is out of range."""

    status = 422
    exit_code = 2
    code = "invalid_input"


class PayloadTooLarge(WorkshopError):
    """The body is larger than the setting allows."""

    status = 413
    exit_code = 2
    code = "payload_too_large"


class WorkflowRejected(WorkshopError):
    """The workflow cannot run on any known worker; `node_errors` says why, node by node, in ComfyUI's own form.

    `comfy` is the `error` object that ComfyUI itself would answer: type, message, details, extra_info.
    """

    status = 400
    exit_code = 2
    code = "workflow_rejected"

    def __init__(
        self, message: str, *, node_errors: dict[str, Any] | None = None, comfy: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message, node_errors=node_errors)
        self.comfy = comfy or {}


class NotSignedIn(WorkshopError):
    """The request carries no credential, or one that is not known (any more)."""

    status = 401
    exit_code = 3
    code = "not_signed_in"


class Forbidden(WorkshopError):
    """The credential's role does not allow this."""

    status = 403
    exit_code = 3
    code = "forbidden"


class NotFound(WorkshopError):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    exit_code = 4
    code = "not_found"


class Conflict(WorkshopError):
    """The thing is in a state that does not allow this."""

    status = 409
    exit_code = 1
    code = "conflict"


class LeaseLost(Conflict):
    """The lease token is not the current one: the job was given to another worker, cancelled or ended."""

    code = "lease_lost"


class LimitReached(WorkshopError):
    """A cap or quota is used up; the message says which, how large it is and what frees it."""

    status = 429
    exit_code = 5
    code = "limit_reached"


class StorageFull(WorkshopError):
    """Redis or the disk has no room left; jobs that run may still complete."""

    status = 507
    exit_code = 5
    code = "storage_full"


class Unavailable(WorkshopError):
    """The queue's store does not answer at the moment; the same request may be sent again."""

    status = 503
    exit_code = 5
    code = "unavailable"
