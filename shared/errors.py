"""One tree of errors, with a stable reason each.

    ParasolError
    ├── InvalidRequest          INVALID_REQUEST          the caller can mend it
    ├── NotFound                NOT_FOUND
    ├── Conflict                CONFLICT                 same id, other content; illegal step
    ├── Unauthenticated         UNAUTHENTICATED          sign in at the portal
    ├── SignInNeeded            SIGN_IN_NEEDED           no valid grant at this facility
    ├── AccountNotLinked        ACCOUNT_NOT_LINKED       link the account at the facility's gateway
    ├── AccessDenied            ACCESS_DENIED            the facility decides
    │   ├── ProposalDenied      PROPOSAL_DENIED
    │   ├── ScopeDenied         SCOPE_DENIED             the grant does not reach this far
    │   └── CodeNotValid        CODE_NOT_VALID           a one-time code: used, too old, or another browser's
    ├── IdentityRefused         IDENTITY_REFUSED         no uid, uid 0, unknown group
    ├── Expired                 EXPIRED                  asked too long ago
    ├── Replayed                REPLAYED                 a query's id came twice
    ├── QuotaExceeded           QUOTA_EXCEEDED
    │   └── FlavourTooLarge     FLAVOUR_TOO_LARGE
    ├── DataNotOnline           DATA_NOT_ONLINE          archived, on its way back, or nobody can tell
    ├── NoPlaceForResults       NO_PLACE_FOR_RESULTS     a task's proposal has no folder that it may write
    ├── RateLimited             RATE_LIMITED             retry later
    ├── Unsupported             UNSUPPORTED
    ├── FacilityUnavailable     FACILITY_UNAVAILABLE     not connected
    ├── DeadlineExceeded        DEADLINE_EXCEEDED        connected, did not answer in time
    └── BackendError            BACKEND_FAILED           the facility's own system
        └── BackendUnavailable  BACKEND_UNAVAILABLE      … and a retry may help

The message is public by definition: one sentence that a person can act on, never a path, a
local name or a secret. The private cause is `__cause__` alone. `metadata` carries every variable
that occurs in the message (AIP-193). Errors are mapped onto the wire in `shared.wire.status` and
onto GraphQL in `central_portal.api.errors`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar


class ParasolError(Exception):
    """Root of all errors that may be shown. `reason` is stable; `message` is public."""

    reason: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False
    default_message: ClassVar[str] = "Something failed on our side."

    def __init__(self, message: str | None = None, *, metadata: Mapping[str, str] | None = None) -> None:
        self.message = message or self.default_message
        self.metadata: dict[str, str] = dict(metadata or {})
        super().__init__(self.message)


class InvalidRequest(ParasolError):
    reason = "INVALID_REQUEST"
    default_message = "The request is not valid."


class NotFound(ParasolError):
    reason = "NOT_FOUND"
    default_message = "There is nothing under this name."


class Conflict(ParasolError):
    reason = "CONFLICT"
    default_message = "This id was already used for something else."


class Unauthenticated(ParasolError):
    reason = "UNAUTHENTICATED"
    default_message = "Sign in first."


class SignInNeeded(ParasolError):
    reason = "SIGN_IN_NEEDED"
    default_message = "The facility asks you to sign in there."


class AccountNotLinked(ParasolError):
    reason = "ACCOUNT_NOT_LINKED"
    default_message = "No account of this facility is linked to you."


class AccessDenied(ParasolError):
    reason = "ACCESS_DENIED"
    default_message = "The facility does not allow this."


class ProposalDenied(AccessDenied):
    reason = "PROPOSAL_DENIED"
    default_message = "Your account is not a member of this proposal."


class ScopeDenied(AccessDenied):
    reason = "SCOPE_DENIED"
    default_message = "You have not allowed the portal to do this at the facility."


class CodeNotValid(AccessDenied):
    reason = "CODE_NOT_VALID"
    default_message = "This link works once, for a short time, and only where it was asked for."


class IdentityRefused(ParasolError):
    reason = "IDENTITY_REFUSED"
    default_message = "The facility could not establish a usable account for you."


class Expired(ParasolError):
    reason = "EXPIRED"
    retryable = True
    default_message = "This was asked too long ago; ask again."


class Replayed(ParasolError):
    reason = "REPLAYED"
    default_message = "This was already asked once."


class QuotaExceeded(ParasolError):
    reason = "QUOTA_EXCEEDED"
    default_message = "Your limit at this facility is reached."


class FlavourTooLarge(QuotaExceeded):
    reason = "FLAVOUR_TOO_LARGE"
    default_message = "The facility does not offer this size here."


class DataNotOnline(ParasolError):
    reason = "DATA_NOT_ONLINE"
    default_message = "The data of this dataset are not on the facility's disks; have them restored first."


class NoPlaceForResults(ParasolError):
    reason = "NO_PLACE_FOR_RESULTS"
    default_message = (
        "The facility has no folder for results of this proposal that your account may use; ask its operators."
    )


class RateLimited(ParasolError):
    reason = "RATE_LIMITED"
    retryable = True
    default_message = "Too many requests; try again shortly."


class Unsupported(ParasolError):
    reason = "UNSUPPORTED"
    default_message = "The facility does not offer this."


class FacilityUnavailable(ParasolError):
    reason = "FACILITY_UNAVAILABLE"
    retryable = True
    default_message = "The facility is not connected at the moment."


class DeadlineExceeded(ParasolError):
    reason = "DEADLINE_EXCEEDED"
    retryable = True
    default_message = "The facility did not answer in time."


class BackendError(ParasolError):
    reason = "BACKEND_FAILED"
    default_message = "A system at the facility failed."


class BackendUnavailable(BackendError):
    reason = "BACKEND_UNAVAILABLE"
    retryable = True
    default_message = "A system at the facility does not answer at the moment."


def every_error(root: type[ParasolError] = ParasolError) -> Iterator[type[ParasolError]]:
    """The root and all its descendants, depth first."""
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def by_reason(reason: str) -> type[ParasolError]:
    """The class of a reason; the root for a reason that this version does not know."""
    return next((cls for cls in every_error() if cls.reason == reason), ParasolError)
