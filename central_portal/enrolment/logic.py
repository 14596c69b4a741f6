"""What an agent may have: decisions about tokens, certificates and clocks, from rows as values. Times are POSIX seconds."""

from __future__ import annotations

from dataclasses import dataclass

from central_portal.link.ports import EnrolmentRefused

TOKEN_LIFE = 3600.0
CLOCKS_DIFFER = 600.0
RECOVERIES = 5
RECOVERY_WINDOW = 7 * 86_400.0
RETIRED_GRACE = 60.0
"""How long a stream may go on after a newer certificate was used: its agent moves over within seconds."""
CANDIDATES = 4
"""How many certificates of an agent may wait for their first use; a further one takes the oldest's place."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """A token as it is stored."""

    facility: str
    expires_at: float
    key_hash: str


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate as it is stored, with its agent's fate. Instants are None for never."""

    not_after: float
    used_at: float | None
    retired_at: float | None
    revoked_at: float | None
    agent_revoked_at: float | None


def check_token(token: TokenFacts | None, facility: str, key_hash: str, now: float) -> None:
    """Raises EnrolmentRefused unless the token may be spent, or was spent, on this very key by this facility."""
    if token is None:
        raise EnrolmentRefused("TOKEN_UNKNOWN", "This token is not known; ask for a new one.")
    if token.facility != facility:
        raise EnrolmentRefused("TOKEN_FOREIGN", "This token is for another facility.")
    if token.key_hash and token.key_hash != key_hash:
        raise EnrolmentRefused("TOKEN_USED", "This token has been used; ask for a new one.")
    if now >= token.expires_at:
        raise EnrolmentRefused("TOKEN_EXPIRED", "This token has expired; ask for a new one.")


def check_clock(clock_ms: int, now: float) -> None:
    """Raises EnrolmentRefused when the agent's clock is too far from the centre's to judge any certificate."""
    ahead = clock_ms / 1000 - now
    if abs(ahead) > CLOCKS_DIFFER:
        way = "ahead of" if ahead > 0 else "behind"
        raise EnrolmentRefused(
            "CLOCK_SKEW",
            f"The clock of the agent's machine is {_span(abs(ahead))} {way} the centre's; mend it and try again.",
        )


def check_session(certificate: CertificateFacts | None, now: float) -> None:
    """Raises EnrolmentRefused unless a session may begin with this certificate."""
    if certificate is None:
        raise EnrolmentRefused("CERTIFICATE_UNKNOWN", "The centre has not issued this certificate.")
    if certificate.revoked_at is not None or certificate.agent_revoked_at is not None:
        raise EnrolmentRefused("CERTIFICATE_REVOKED", "This certificate was revoked; enrol again.")
    if certificate.retired_at is not None:
        raise EnrolmentRefused("CERTIFICATE_REPLACED", "A newer certificate has replaced this one.")
    if now >= certificate.not_after:
        raise EnrolmentRefused("CERTIFICATE_EXPIRED", "This certificate has expired.")


def fallen(certificate: CertificateFacts | None, now: float) -> str:
    """Why a session that began with this certificate must end now; empty when it may go on."""
    try:
        check_session(certificate, now)
    except EnrolmentRefused as refused:
        graced = certificate is not None and certificate.retired_at is not None
        if graced and refused.reason == "CERTIFICATE_REPLACED" and now < certificate.retired_at + RETIRED_GRACE:  # type: ignore[union-attr,operator]
            return ""
        return refused.sentence
    return ""


def check_recovery(certificates: list[CertificateFacts], recent: int, now: float) -> None:
    """Raises EnrolmentRefused unless an agent with these certificates, `recent` of them recovered lately, may recover."""
    good = [c for c in certificates if c.used_at is not None and not fallen(c, now) and c.retired_at is None]
    if good:
        left = _span(max(c.not_after for c in good) - now)
        raise EnrolmentRefused(
            "CERTIFICATE_GOOD",
            f"The agent's certificate holds for another {left}: its files are an older copy, or the hub's port for "
            "certificates cannot be reached.",
        )
    if recent >= RECOVERIES:
        raise EnrolmentRefused(
            "RECOVERY_LIMIT", f"The agent has recovered {recent} times within a week; enrol it again."
        )


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
