"""Short, atomic, synchronous functions on identity's tables. Call them through `in_database`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from central_portal.bulk import read_rows
from central_portal.identity.models import (
    AccountLinkKnowledge,
    ConnectAttempt,
    EndedSid,
    Person,
    PortalSession,
    SealedGrant,
)
from central_portal.identity.sealing import ID_TOKEN_LABEL, grant_label, seal, sealing_key, unseal
from shared.identity import LinkState, Subject
from shared.limits import LIMITS
from shared.wire.proof import hashed


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A living session."""

    hash: str
    person_id: int
    name: str
    issuer: str
    sub: str
    provider: str
    sid: str
    id_token: bytes
    expires_at: float
    replaced: bool


def session_of(session_hash: str, now: float) -> SessionRow | None:
    """The session under a hash: not expired, and replaced no longer ago than the grace."""
    row = PortalSession.objects.select_related("person").filter(_alive(now), hash=session_hash).first()
    if row is None:
        return None
    person = row.person
    return SessionRow(
        row.hash, person.pk, person.name, person.issuer, person.sub, row.provider, row.sid,
        bytes(row.id_token), row.expires_at, row.replaced_at is not None,
    )  # fmt: skip


def open_session(
    cookie: str, old_cookie: str, subject: Subject, name: str, provider: str, sid: str, id_token: str,
    now: float, expires_at: float,
) -> list[str]:  # fmt: skip
    """Open a session under `cookie`. The same person's grants move over from `old_cookie`; another's die.

    Returns the hashes of sessions that ended or were replaced. Raises PermissionError when the provider's
    session `sid` ended while this sign-in was under way.
    """
    with transaction.atomic():
        EndedSid.objects.filter(until__lt=now).delete()
        if sid and EndedSid.objects.filter(provider=provider, sid=sid).exists():
            raise PermissionError("this session has ended at the provider")
        person, _ = Person.objects.update_or_create(
            issuer=subject.issuer, sub=subject.sub, defaults={"name": name}
        )
        old = _renewable(old_cookie, now)
        same = old is not None and old.person_id == person.pk
        new = PortalSession.objects.create(
            hash=hashed(cookie), family=old.family if old and same else hashed(cookie), person=person,
            provider=provider, sid=sid, created_at=now, expires_at=expires_at,
            id_token=seal(sealing_key(cookie), ID_TOKEN_LABEL, id_token.encode()),
        )  # fmt: skip
        touched = []
        if old and same:
            _move(old, new, sealing_key(old_cookie), sealing_key(cookie))
            PortalSession.objects.filter(pk=old.pk).update(replaced_at=now)
            touched = [old.hash]
        elif old:
            touched = _delete_families([old.family])
        _sweep(now)
    return touched


def _renewable(cookie: str, now: float) -> PortalSession | None:
    """The session of a cookie while it may still be moved on to another: alive and not replaced."""
    living = PortalSession.objects.filter(hash=hashed(cookie), replaced_at=None, expires_at__gt=now)
    return living.first() if cookie else None


def renew(cookie: str, old_cookie: str, now: float) -> bool:
    """Put a session under a new cookie, in one transaction. False when it was renewed before or is gone."""
    with transaction.atomic():
        old = _renewable(old_cookie, now)
        if old is None:
            return False
        token = unseal(sealing_key(old_cookie), ID_TOKEN_LABEL, bytes(old.id_token)) or b""
        new = PortalSession.objects.create(
            hash=hashed(cookie), family=old.family, person_id=old.person_id, provider=old.provider, sid=old.sid,
            created_at=old.created_at, expires_at=old.expires_at,
            id_token=seal(sealing_key(cookie), ID_TOKEN_LABEL, token),
        )  # fmt: skip
        _move(old, new, sealing_key(old_cookie), sealing_key(cookie))
        PortalSession.objects.filter(pk=old.pk).update(replaced_at=now)
        _sweep(now)
    return True


def _move(old: PortalSession, new: PortalSession, old_key: bytes, new_key: bytes) -> None:
    """The old row keeps its boxes for requests under way; attempts under way go on in the new session."""
    for grant in old.grants.all():
        label = grant_label(grant.facility, grant.grant_id)
        secret = unseal(old_key, label, bytes(grant.box))
        if secret is not None:
            grant.pk, grant.session, grant.box = None, new, seal(new_key, label, secret)
            grant.save(force_insert=True)
    old.attempts.update(session=new)


def _sweep(now: float) -> None:
    gone = Q(expires_at__lt=now) | Q(replaced_at__lt=now - LIMITS.cookie_grace)
    PortalSession.objects.filter(gone).delete()
    ConnectAttempt.objects.filter(expires_at__lt=now).delete()


def end_own(session_hash: str, now: float) -> list[str]:
    """A person signs out: end this session with its provider session's others; returns the hashes that ended.

    A cookie that was renewed within the grace ends its successor too.
    """
    with transaction.atomic():
        row = PortalSession.objects.filter(hash=session_hash).first()
        if row is None:
            return []
        ended = _end_sid(row.provider, row.sid, now) if row.sid else []
        return ended + _delete_families([row.family])


def end_sid(provider: str, sid: str, now: float) -> list[str]:
    """A provider's session has ended: end ours that came from it, and let no sign-in under way revive it."""
    with transaction.atomic():
        return _end_sid(provider, sid, now)


def end_subject(provider: str, subject: Subject) -> list[str]:
    """A provider says that a subject has signed out everywhere; returns the hashes that ended."""
    with transaction.atomic():
        found = PortalSession.objects.filter(
            provider=provider, person__issuer=subject.issuer, person__sub=subject.sub
        )
        return _delete_families(list(found.values_list("family", flat=True)))


def _end_sid(provider: str, sid: str, now: float) -> list[str]:
    EndedSid.objects.filter(until__lt=now).delete()
    EndedSid.objects.create(provider=provider, sid=sid, until=now + LIMITS.sid_memory)
    found = PortalSession.objects.filter(provider=provider, sid=sid)
    living = found.filter(_alive(now))
    families = list(living.values_list("family", flat=True))
    ended = list(found.exclude(family__in=families).values_list("hash", flat=True))
    PortalSession.objects.filter(hash__in=ended).delete()
    return ended + _delete_families(families)


def _delete_families(families: list[str]) -> list[str]:
    found = PortalSession.objects.filter(family__in=families)
    ended = list(found.values_list("hash", flat=True))
    found.delete()
    return ended


def living(hashes: list[str], now: float) -> set[str]:
    """Those of these sessions that live under this very cookie."""
    rows = PortalSession.objects.filter(hash__in=hashes, replaced_at=None, expires_at__gt=now)
    return set(rows.values_list("hash", flat=True))


def _alive(now: float) -> Q:
    """Not expired, and replaced no longer ago than the grace."""
    unreplaced = Q(replaced_at=None) | Q(replaced_at__gt=now - LIMITS.cookie_grace)
    return unreplaced & Q(expires_at__gt=now)


def save_attempt(state: str, session_hash: str, facility: str, return_to: str, now: float) -> None:
    """Remember a visit to a gateway."""
    ConnectAttempt.objects.create(
        state_hash=hashed(state), session_id=session_hash, facility=facility, return_to=return_to,
        expires_at=now + LIMITS.sign_in_attempt,
    )  # fmt: skip


def take_attempt(state: str, session_hash: str, now: float) -> tuple[str, str] | None:
    """(facility, return_to) of a visit of this session, once; None when there is none."""
    with transaction.atomic():
        row = ConnectAttempt.objects.filter(
            state_hash=hashed(state), session_id=session_hash, expires_at__gt=now
        ).first()
        if row is None:
            return None
        row.delete()
        return row.facility, row.return_to


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A sealed grant."""

    facility: str
    grant_id: str
    box: bytes
    scopes: str
    clock_offset_ms: int
    expires_at: float


def save_grant(session_hash: str, grant: GrantRow) -> bool:
    """Keep a grant in a session, in place of an earlier one there.

    False when the session has ended or moved to another cookie meanwhile: what is sealed under this one is lost.
    """
    with transaction.atomic():
        if not PortalSession.objects.filter(hash=session_hash, replaced_at=None).exists():
            return False
        SealedGrant.objects.update_or_create(
            session_id=session_hash, facility=grant.facility,
            defaults={
                "grant_id": grant.grant_id, "box": grant.box, "scopes": grant.scopes,
                "clock_offset_ms": grant.clock_offset_ms, "expires_at": grant.expires_at,
            },
        )  # fmt: skip
    return True


_GRANT = ("facility", "grant_id", "box", "scopes", "clock_offset_ms", "expires_at")


def grants_of(session_hash: str, now: float, facility: str | None = None) -> list[GrantRow]:
    """The living grants of a session, of one facility or all."""
    where = {"session_id": (session_hash,), **({} if facility is None else {"facility": (facility,)})}
    rows = read_rows(SealedGrant, _GRANT, where)
    return [GrantRow(slug, name, bytes(box), *rest) for slug, name, box, *rest in rows if rest[-1] > now]


def drop_grant(session_hash: str, facility: str, grant_id: str) -> None:
    """Forget a grant of a session."""
    SealedGrant.objects.filter(session_id=session_hash, facility=facility, grant_id=grant_id).delete()


def drop_grants(person_id: int, facility: str) -> None:
    """Forget a person's grants at a facility in all of their sessions."""
    SealedGrant.objects.filter(session__person_id=person_id, facility=facility).delete()


def drop_dead_grant(facility: str, grant_id: str) -> None:
    """Forget a grant that its facility does not know any more."""
    SealedGrant.objects.filter(facility=facility, grant_id=grant_id).delete()


def learn_link(person_id: int, facility: str, state: LinkState, now: float) -> None:
    """Note what a facility said of an account link."""
    AccountLinkKnowledge.objects.update_or_create(
        person_id=person_id, facility=facility, defaults={"state": state.value, "checked_at": now}
    )


def held(
    person_id: int, session_hash: str, now: float
) -> tuple[dict[str, tuple[LinkState, float]], list[GrantRow]]:
    """`links_of` the person and `grants_of` the session, in one go."""
    return links_of(person_id), grants_of(session_hash, now)


def links_of(person_id: int) -> dict[str, tuple[LinkState, float]]:
    """Facility → (state, when learnt)."""
    rows = AccountLinkKnowledge.objects.filter(person_id=person_id).values_list("facility", "state", "checked_at")
    return {facility: (LinkState(state), at) for facility, state, at in rows}
