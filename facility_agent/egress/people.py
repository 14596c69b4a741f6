"""Pseudonyms: HMAC-SHA256 of a person's subject under a key of their own. Without the key nobody can tell whose it was."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

from facility_agent.ports.store import Store, Transaction, Vault
from shared.identity import Subject

KEPT = 10_000


def pseudonym(key: bytes, subject: Subject) -> str:
    """The name under which the log knows a person: 32 hex digits."""
    said = f"{len(subject.issuer)} {subject.issuer}{subject.sub}".encode()
    return hmac.new(key, said, hashlib.sha256).hexdigest()[:32]


def label(subject: Subject) -> str:
    """The vault's label of a person's key."""
    return f"egress {subject.issuer} {subject.sub}"


class Pseudonyms:
    """Of people who have a key, made when they are first recorded. Kept in memory until `erase`."""

    def __init__(self, store: Store, vault: Vault, random: Callable[[int], bytes] = os.urandom) -> None:
        self._store, self._vault, self._random = store, vault, random
        self._known: dict[Subject, str] = {}

    async def of(self, subject: Subject) -> str:
        """Their pseudonym. Raises BackendUnavailable while the store does not say."""
        known = self._known.get(subject)
        if known is not None:
            return known
        fresh = self._vault.seal(label(subject), self._random(32))

        def work(tx: Transaction) -> bytes:
            box = tx.egress_key(subject)
            if box is None:
                tx.put_egress_key(subject, fresh)
            return box or fresh

        box = await self._store.transact(work)
        if len(self._known) >= KEPT:
            self._known.pop(next(iter(self._known)))
        made = self._known[subject] = pseudonym(self._vault.unseal(label(subject), box), subject)
        return made

    async def erase(self, subject: Subject) -> bool:
        """Destroy their key; what is recorded of them from now on goes under a new one. False when there was none."""
        found = await self._store.transact(lambda tx: tx.erase_egress_key(subject))
        self._known.pop(subject, None)
        return found
