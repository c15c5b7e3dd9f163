"""What can go wrong between us and Verda: one class a cause, each a sentence for the operator with the next step."""

from services.domain.errors import WorkshopError


class VerdaError(WorkshopError):
    """Verda refused a request; nothing was changed."""

    status = 502
    code = "verda_refused"


class VerdaUnavailable(VerdaError):
    """Verda did not answer, or not with an answer of its API. Whether the request was carried out is not known."""

    status = 503
    code = "verda_unavailable"


class CredentialsRefused(VerdaError):
    """The client id or the client secret is wrong, or lacks a right."""

    status = 401
    exit_code = 3
    code = "verda_credentials_refused"


class NotAtVerda(VerdaError):
    """What was asked for does not exist (any more)."""

    status = 404
    exit_code = 4
    code = "not_at_verda"


class NoCapacity(VerdaError):
    """No machine of this type is free at this place just now."""

    status = 503
    code = "no_capacity"


class InsufficientFunds(VerdaError):
    """The account's balance does not cover it."""

    status = 402
    code = "insufficient_funds"


class QuotaReached(VerdaError):
    """The account may not hold more of this."""

    status = 403
    code = "quota_reached"


class Ambiguous(VerdaError):
    """Something else carries our name; taking it over would be a guess."""

    status = 409
    code = "ambiguous"


class DeadlinePassed(VerdaError):
    """What was waited for did not come about in the time given to it."""

    status = 504
    code = "deadline_passed"


class BackupFailed(VerdaError):
    """The backup before a deletion failed, so nothing is deleted."""

    status = 409
    code = "backup_failed"
