"""Values of `ports.doorkeeper` ↔ JSON. One place, so that both ends agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facility_agent.ports.compute import Endpoint
from facility_agent.ports.doorkeeper import (
    GatewaySession,
    IssuedCode,
    LinkInfo,
    LocalIdentity,
    PlaceSheet,
    Revocation,
    WorkspaceDoor,
)
from facility_agent.ports.tokens import PersonSession, SignOnToken
from shared.commands import Problem
from shared.errors import ParasolError, by_reason
from shared.identity import Scope, Subject

Json = Any


def subject(value: Subject) -> Json:
    """A subject."""
    return [value.issuer, value.sub]


def to_subject(value: Json) -> Subject:
    """Its inverse."""
    return Subject(str(value[0]), str(value[1]))


def identity(value: LocalIdentity) -> Json:
    """A local account."""
    return [value.username, value.immutable_id, value.display_name]


def to_identity(value: Json) -> LocalIdentity:
    """Its inverse."""
    return LocalIdentity(*(str(part) for part in value))


def link(value: LinkInfo | None) -> Json:
    """An account link."""
    return None if value is None else [identity(value.identity), value.generation]


def to_link(value: Json) -> LinkInfo | None:
    """Its inverse."""
    return None if value is None else LinkInfo(to_identity(value[0]), int(value[1]))


def scopes(value: frozenset[Scope]) -> Json:
    """Scopes."""
    return sorted(scope.value for scope in value)


def to_scopes(value: Json) -> frozenset[Scope]:
    """Its inverse."""
    return frozenset(Scope(word) for word in value)


def code(value: IssuedCode) -> Json:
    """A code."""
    return [value.code, value.key]


def to_code(value: Json) -> IssuedCode:
    """Its inverse."""
    return IssuedCode(str(value[0]), str(value[1]))


def session(value: GatewaySession | None) -> Json:
    """A gateway session."""
    if value is None:
        return None
    return [subject(value.subject) if value.subject else None, value.sid, value.data]


def to_session(value: Json) -> GatewaySession | None:
    """Its inverse."""
    if value is None:
        return None
    return GatewaySession(to_subject(value[0]) if value[0] else None, str(value[1]), dict(value[2]))


def door(value: WorkspaceDoor | None) -> Json:
    """A verdict."""
    if value is None:
        return None
    to = value.endpoint
    endpoint = [str(to.socket or ""), [list(pair) for pair in to.headers], to.owner, to.address] if to else None
    return [value.workspace_id, value.title, value.state, value.allowed, endpoint]


def to_door(value: Json) -> WorkspaceDoor | None:
    """Its inverse."""
    if value is None:
        return None
    to = value[4]
    endpoint = _endpoint(*to) if to else None
    return WorkspaceDoor(str(value[0]), str(value[1]), str(value[2]), bool(value[3]), endpoint)


def _endpoint(socket: str, headers: Json, owner: int | None = None, address: Json = None) -> Endpoint:
    pairs = tuple((str(key), str(value)) for key, value in headers)
    to = (str(address[0]), int(address[1])) if address else None
    return Endpoint(Path(socket) if socket else None, pairs, owner, to)


def sheet(value: PlaceSheet) -> Json:
    """What the page of entered places shows."""
    return [value.title, value.state, list(value.roots), [list(each) for each in value.entered]]


def to_sheet(value: Json) -> PlaceSheet:
    """Its inverse."""
    entered = tuple((str(pid), str(folder), float(at)) for pid, folder, at in value[3])
    return PlaceSheet(str(value[0]), str(value[1]), tuple(map(str, value[2])), entered)


def wish(value: PersonSession) -> Json:
    """Whether a token would be of use."""
    return value.value


def to_wish(value: Json) -> PersonSession:
    """Its inverse."""
    return PersonSession(value)


def token(value: SignOnToken) -> Json:
    """A sign-on token."""
    return [value.text, value.lifetime_s]


def to_token(value: Json) -> SignOnToken:
    """Its inverse."""
    return SignOnToken(str(value[0]), float(value[1]))


def revocation(value: Revocation) -> Json:
    """A revocation."""
    return [value.session_hash, value.workspace_id]


def to_revocation(value: Json) -> Revocation:
    """Its inverse."""
    return Revocation(str(value[0]), str(value[1]))


def error(value: ParasolError) -> Json:
    """An error."""
    problem = Problem.of(value)
    return {"reason": problem.reason, "message": problem.message, "metadata": problem.metadata}


def to_error(value: Mapping[str, Any]) -> ParasolError:
    """Its inverse."""
    return by_reason(str(value["reason"]))(str(value["message"]), metadata=dict(value.get("metadata", {})))
