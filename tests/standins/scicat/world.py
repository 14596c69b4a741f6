"""What this SciCat holds: people, tokens, records and jobs. A test reads and changes it directly."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tests.standins.scicat.mongo import Document

ADMIN_GROUPS = frozenset({"admin"})
READ_ALL_GROUPS = frozenset({"archivemanager"})  # SciCat's UPDATE_DATASET_LIFECYCLE_GROUPS read every dataset


@dataclass
class User:
    """A user and its identity; `groups` are those stored at its last login, `password` is of functional accounts."""

    username: str
    groups: list[str]
    email: str = ""
    strategy: str = "oidc"
    password: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        self.id = self.id or hashlib.sha256(self.username.encode()).hexdigest()[:24]
        self.email = self.email or f"{self.username}@scicat.invalid"

    def shown(self) -> Document:
        """The user's record."""
        return {"_id": self.id, "id": self.id, "username": self.username, "email": self.email,
                "authStrategy": self.strategy, "realm": "localhost", "emailVerified": True}  # fmt: skip

    def identity(self) -> Document:
        """The identity's record; groups are read from it at each use of a token."""
        profile = {
            "id": self.id,
            "username": self.username,
            "email": self.email,
            "accessGroups": list(self.groups),
        }
        return {"userId": self.id, "authStrategy": self.strategy, "externalId": self.username,
                "provider": self.strategy, "profile": profile}  # fmt: skip


def now() -> datetime:
    """Now, as MongoDB keeps it: to the millisecond."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@dataclass
class SciCat:
    """The whole server's state. `clock` says the time by which tokens expire; `asked` is every request's line."""

    users: dict[str, User] = field(default_factory=dict)
    datasets: list[Document] = field(default_factory=list)
    blocks: list[Document] = field(default_factory=list)
    proposals: list[Document] = field(default_factory=list)
    instruments: list[Document] = field(default_factory=list)
    samples: list[Document] = field(default_factory=list)
    jobs: list[Document] = field(default_factory=list)
    job_types: set[str] = field(default_factory=lambda: {"retrieve"})
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    clock: Callable[[], float] = time.time
    life: int = 3600
    _secret: str = field(default_factory=lambda: secrets.token_hex(32))

    def add_user(self, username: str, *groups: str, strategy: str = "oidc", password: str = "") -> User:
        """A new user."""
        user = User(username, list(groups), strategy=strategy, password=password)
        self.users[user.id] = user
        return user

    def put(self, kind: str, **record: Any) -> Document:
        """Add a record as SciCat would complete it; a dataset or proposal of the same key is replaced."""
        rows: list[Document] = getattr(self, kind)
        key = {"datasets": "pid", "proposals": "proposalId", "instruments": "pid", "samples": "sampleId"}.get(kind)
        made = {"_id": record.get(key) if key else uuid.uuid4().hex[:24], "createdAt": now(), "updatedAt": now(),
                "createdBy": "ingestor", "updatedBy": "ingestor"}  # fmt: skip
        if kind != "instruments":
            made |= {"ownerGroup": "", "accessGroups": [], "isPublished": False}
        if kind == "datasets":
            made |= {"keywords": [], "techniques": [], "sharedWith": [], "numberOfFiles": 0, "size": 0, "type": "raw",
                     "proposalIds": [], "sampleIds": [], "instrumentIds": [], "datasetlifecycle": lifecycle(),
                     "creationTime": now(), "version": "4"}  # fmt: skip
        rows[:] = [row for row in rows if key is None or row[key] != record[key]]
        rows.append(made | record)
        return rows[-1]

    def remove(self, pid: str) -> None:
        """Delete a dataset and its blocks."""
        self.datasets = [row for row in self.datasets if row["pid"] != pid]
        self.blocks = [row for row in self.blocks if row["datasetId"] != pid]

    def token(self, user: User, expires_in: int | None = None) -> str:
        """A JWT of this user."""
        life = self.life if expires_in is None else expires_in
        at = int(self.clock())
        return jwt.encode(
            {"alg": "HS256"}, {**user.shown(), "iat": at, "exp": at + life}, OctKey.import_key(self._secret)
        )

    def holder(self, authorization: str | None) -> User | None:
        """Whose request this is: nobody's for a missing, forged, expired or revoked token."""
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() != "bearer":
            return None
        try:
            claims = jwt.decode(text, OctKey.import_key(self._secret), algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            return None
        if claims["exp"] <= self.clock():
            return None
        known = self.users.get(claims["_id"])
        # SciCat trusts the token for the name; a deleted user's token stays good until it expires, without groups.
        return known or User(claims["username"], [], claims["email"], claims["authStrategy"], id=claims["_id"])

    def revoke_all(self) -> None:
        """A new signing secret: the one way to revoke tokens that SciCat has."""
        self._secret = secrets.token_hex(32)


def lifecycle(**changed: Any) -> Document:
    """A dataset's life cycle as SciCat makes it."""
    return {"archivable": True, "retrievable": False, "publishable": False, "isOnCentralDisk": True,
            "dateOfDiskPurging": datetime(2099, 1, 1, tzinfo=UTC), "archiveStatusMessage": "datasetCreated",
            "retrieveStatusMessage": "", "retrieveIntegrityCheck": False} | changed  # fmt: skip
