"""The keys under which the egress log knows people."""

from __future__ import annotations

from facility_agent.store.tables import Tables
from shared.identity import Subject


class EgressTables(Tables):
    """Implements `ports.store.egress.EgressRows`."""

    def egress_key(self, subject: Subject) -> bytes | None:
        """A person's sealed key."""
        row = self._one("select key from egress_person where issuer=? and sub=?", subject.issuer, subject.sub)
        return bytes(row[0]) if row else None

    def put_egress_key(self, subject: Subject, box: bytes) -> None:
        """Store a new one."""
        self._put("egress_person", subject.issuer, subject.sub, box)

    def erase_egress_key(self, subject: Subject) -> bool:
        """Overwrite and delete it."""
        who = (subject.issuer, subject.sub)
        self._db.execute("pragma secure_delete=on")
        self._db.execute("update egress_person set key=zeroblob(length(key)) where issuer=? and sub=?", who)
        gone = self._db.execute("delete from egress_person where issuer=? and sub=?", who).rowcount
        self._db.execute("pragma secure_delete=off")
        return gone > 0
