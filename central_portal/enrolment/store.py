"""Short, atomic, synchronous functions on enrolment's tables. Call them through `in_database`.

A certificate is signed inside the transaction that stores it (0.1 ms), so none is given out that is not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max, Q, QuerySet

from central_portal.enrolment import logic
from central_portal.enrolment.logic import CertificateFacts, TokenFacts
from central_portal.enrolment.models import Agent, Certificate, EnrolmentToken, Member
from central_portal.link.ports import Caller, EnrolmentRefused

_KEPT = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate that was just made."""

    serial: str
    der: bytes
    not_after: float


Sign = Callable[[str, int], Signed]
"""(facility, agent's number) → its certificate, for the key that asks."""


def save_token(token_hash: str, facility: str, now: float) -> None:
    """Remember a token; long expired ones are forgotten."""
    EnrolmentToken.objects.filter(expires_at__lt=now - _KEPT).delete()
    EnrolmentToken.objects.create(hash=token_hash, facility=facility, expires_at=now + logic.TOKEN_LIFE)


def enrol(token_hash: str, facility: str, public_key: bytes, key_hash: str, sign: Sign, now: float) -> bytes:
    """Spend a token on a new agent's first certificate; the same again for the same key. Raises EnrolmentRefused."""
    with transaction.atomic():
        token = EnrolmentToken.objects.select_for_update().filter(hash=token_hash).first()
        facts = TokenFacts(token.facility, token.expires_at, token.key_hash) if token else None
        logic.check_token(facts, facility, key_hash, now)
        assert token is not None
        if token.serial:
            return _der(token.serial)
        newest = Agent.objects.filter(facility=facility).aggregate(Max("number"))["number__max"] or 0
        agent = Agent.objects.create(facility=facility, number=newest + 1, public_key=public_key, enrolled_at=now)
        signed = _issue(agent, key_hash, sign, now)
        EnrolmentToken.objects.filter(pk=token_hash).update(key_hash=key_hash, serial=signed.serial)
        return signed.der


def renew(holder: Caller, key_hash: str, sign: Sign, now: float) -> bytes:
    """The next certificate of the agent that holds one. Raises EnrolmentRefused."""
    with transaction.atomic():
        present = _held(holder)
        logic.check_session(_facts(present), now)
        assert present is not None
        waiting = _candidates(present.agent).filter(key_hash=key_hash, not_after__gt=now).first()
        if waiting is not None and waiting.serial != holder.serial:
            return bytes(waiting.der)
        return _issue(present.agent, key_hash, sign, now).der


def recover(facility: str, public_key: bytes, key_hash: str, sign: Sign, now: float) -> bytes:
    """A certificate for an agent whose last one expired. Raises EnrolmentRefused."""
    with transaction.atomic():
        agents = Agent.objects.select_for_update().filter(facility=facility, public_key=public_key)
        agent = agents.order_by("-number").first()
        if agent is None:
            raise EnrolmentRefused("AGENT_UNKNOWN", "The centre does not know this agent's key; enrol it.")
        if agent.revoked_at is not None:
            raise EnrolmentRefused("AGENT_REVOKED", "This agent was revoked; enrol it again.")
        if agent.replaced_at is not None:
            raise EnrolmentRefused("AGENT_REPLACED", "Another agent of this facility has replaced this one.")
        waiting = _candidates(agent).filter(key_hash=key_hash, recovered=True, not_after__gt=now).first()
        if waiting is not None:
            return bytes(waiting.der)
        mine = [_facts(row) for row in agent.certificates.select_related("agent")]
        since = now - logic.RECOVERY_WINDOW
        recent = agent.certificates.filter(recovered=True, issued_at__gt=since).count()
        logic.check_recovery([facts for facts in mine if facts], recent, now)
        return _issue(agent, key_hash, sign, now, recovered=True).der


def admit(holder: Caller, now: float) -> None:
    """A session begins: the certificate now replaces all earlier ones. Raises EnrolmentRefused."""
    with transaction.atomic():
        row = _held(holder)
        logic.check_session(_facts(row), now)
        assert row is not None
        if row.used_at is None:
            Certificate.objects.filter(pk=row.pk).update(used_at=now)
            _replace_earlier(row, now)


def _replace_earlier(row: Certificate, now: float) -> None:
    """Everything of earlier agents of the facility, and of this agent all but later candidates."""
    earlier = Agent.objects.filter(facility=row.agent.facility, number__lt=row.agent.number)
    own = Q(agent=row.agent) & (Q(used_at__isnull=False) | Q(issued_at__lte=row.issued_at))
    Certificate.objects.filter(Q(agent__in=earlier) | own, retired_at=None).exclude(pk=row.pk).update(
        retired_at=now
    )
    earlier.filter(replaced_at=None).update(replaced_at=now)


def standings(serials: Iterable[str]) -> dict[str, tuple[str, CertificateFacts]]:
    """Serial number → (facility, facts) of certificates that there are."""
    rows = Certificate.objects.select_related("agent").filter(serial__in=list(serials))
    return {row.serial: (row.agent.facility, _sure(row)) for row in rows}


def enrolled_key(facility: str) -> bytes | None:
    """The long-lived key of a facility's newest agent that is not revoked."""
    agent = Agent.objects.filter(facility=facility, revoked_at=None).order_by("-number").first()
    return bytes(agent.public_key) if agent else None


def members() -> list[Member]:
    """Every facility that has a row, by id."""
    return list(Member.objects.order_by("slug"))


def was_enrolled(facility: str) -> bool:
    """Whether a facility has had an agent or a token."""
    return any(kind.objects.filter(facility=facility).exists() for kind in (Agent, EnrolmentToken))


def revoke(facility: str, serial: str | None, now: float) -> int:
    """Revoke one certificate, or every agent of a facility with all its certificates and unspent tokens; how many."""
    with transaction.atomic():
        found = Certificate.objects.filter(agent__facility=facility, revoked_at=None)
        if serial is not None:
            return found.filter(serial=serial).update(revoked_at=now)
        EnrolmentToken.objects.filter(facility=facility).delete()
        Agent.objects.filter(facility=facility, revoked_at=None).update(revoked_at=now)
        return found.update(revoked_at=now)


def _issue(agent: Agent, key_hash: str, sign: Sign, now: float, *, recovered: bool = False) -> Signed:
    Certificate.objects.filter(not_after__lt=now - _KEPT).delete()
    surplus = _candidates(agent).order_by("-issued_at").values_list("serial", flat=True)[logic.CANDIDATES - 1 :]
    Certificate.objects.filter(serial__in=list(surplus)).update(retired_at=now)
    signed = sign(agent.facility, agent.number)
    Certificate.objects.create(
        serial=signed.serial, agent=agent, key_hash=key_hash, der=signed.der, issued_at=now,
        not_after=signed.not_after, recovered=recovered,
    )  # fmt: skip
    return signed


def _candidates(agent: Agent) -> QuerySet[Certificate]:
    return Certificate.objects.filter(agent=agent, used_at=None, retired_at=None, revoked_at=None)


def _held(holder: Caller) -> Certificate | None:
    """The row of what somebody holds, when number, key and facility are the row's: a forged one may copy the number."""
    rows = Certificate.objects.select_related("agent").select_for_update()
    return rows.filter(serial=holder.serial, key_hash=holder.key.hex(), agent__facility=holder.facility_id).first()


def _der(serial: str) -> bytes:
    return bytes(Certificate.objects.values_list("der", flat=True).get(serial=serial))


def _facts(row: Certificate | None) -> CertificateFacts | None:
    return None if row is None else _sure(row)


def _sure(row: Certificate) -> CertificateFacts:
    return CertificateFacts(row.not_after, row.used_at, row.retired_at, row.revoked_at, row.agent.revoked_at)
