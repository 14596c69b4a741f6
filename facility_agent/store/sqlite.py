"""The store on SQLite: WAL, immediate transactions, synchronous=FULL, one thread that owns the connection."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from facility_agent.ports.store import (
    CodeRow,
    DoorCodeRow,
    GrantRow,
    LinkRow,
    PassRow,
    SeenRow,
    SessionRow,
    Transaction,
    WorkspaceRow,
)
from facility_agent.store.schema import STEPS
from shared.identity import Subject
from shared.workspaces import WorkspaceState

T = TypeVar("T")


class SqliteStore:
    """Implements `ports.store.Store`. Opening it counts one boot."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, "store")
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=full; pragma busy_timeout=5000;")
        self._migrate()
        self.store_id, self.boot_counter = self._boot()

    def _migrate(self) -> None:
        done = self._db.execute("pragma user_version").fetchone()[0]
        for number, step in enumerate(STEPS[done:], done + 1):
            self._db.executescript(f"begin immediate; {step}; pragma user_version={number}; commit;")

    def _boot(self) -> tuple[str, int]:
        self._db.execute("begin immediate")
        self._db.execute("insert or ignore into meta values ('store_id', ?)", (str(uuid.uuid4()),))
        self._db.execute("insert or ignore into meta values ('boots', '0')")
        self._db.execute("update meta set value = value + 1 where key = 'boots'")
        rows = dict(self._db.execute("select key, value from meta").fetchall())
        self._db.execute("commit")
        return rows["store_id"], int(rows["boots"])

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction; its exception rolls everything back."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def _run(self, work: Callable[[Transaction], T]) -> T:
        self._db.execute("begin immediate")
        try:
            result = work(SqliteTransaction(self._db))
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")
        return result

    def close(self) -> None:
        """Close after what is under way."""
        self._thread.submit(self._db.close).result(10)
        self._thread.shutdown()


class SqliteTransaction:
    """Implements `ports.store.Transaction`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def _put(self, table: str, *values: Any) -> None:
        marks = ",".join("?" * len(values))
        self._db.execute(f"insert or replace into {table} values ({marks})", values)  # noqa: S608 (our own names)

    # account links and consent

    def link_of(self, subject: Subject) -> LinkRow | None:
        """The subject's link, also one that was removed."""
        row = self._one("select * from link where issuer=? and sub=?", subject.issuer, subject.sub)
        return _link(row) if row else None

    def holder_of(self, immutable_id: str) -> LinkRow | None:
        """The link that holds or last held an account; the active one first."""
        row = self._one("select * from link where immutable_id=? order by active desc, rowid desc", immutable_id)
        return _link(row) if row else None

    def put_link(self, row: LinkRow) -> None:
        """Store or replace the subject's link."""
        self._put(
            "link", row.subject.issuer, row.subject.sub, row.username, row.immutable_id, row.generation, row.active
        )

    def consent_of(self, subject: Subject) -> str:
        """Scopes confirmed."""
        row = self._one("select scopes from consent where issuer=? and sub=?", subject.issuer, subject.sub)
        return str(row[0]) if row else ""

    def put_consent(self, subject: Subject, scopes: str) -> None:
        """Replace what was confirmed."""
        self._put("consent", subject.issuer, subject.sub, scopes)

    # codes and grants

    def put_code(self, row: CodeRow) -> None:
        """Store a code."""
        who = row.subject
        self._put(
            "code",
            row.code_hash,
            row.challenge,
            row.secret,
            who.issuer,
            who.sub,
            row.sid,
            row.scopes,
            row.expires_at,
        )

    def take_code(self, code_hash: str) -> CodeRow | None:
        """The code, and delete it."""
        row = self._one("delete from code where code_hash=? returning *", code_hash)
        return CodeRow(row[0], row[1], row[2], Subject(row[3], row[4]), *row[5:]) if row else None

    def put_grant(self, row: GrantRow) -> None:
        """Store a grant."""
        who = row.subject
        self._put(
            "grant_", row.grant_id, who.issuer, who.sub, row.sid, row.immutable_id, row.generation, row.scopes,
            row.secret, row.created_at, row.expires_at,
        )  # fmt: skip

    def grant(self, grant_id: str) -> GrantRow | None:
        """One grant."""
        row = self._one("select * from grant_ where grant_id=?", grant_id)
        return _grant(row) if row else None

    def grants_of(self, subject: Subject, sid: str) -> Sequence[GrantRow]:
        """Grants of one sign-in, oldest first."""
        sql = "select * from grant_ where issuer=? and sub=? and sid=? order by created_at, rowid"
        return [_grant(row) for row in self._db.execute(sql, (subject.issuer, subject.sub, sid))]

    def expire_grant(self, grant_id: str, at: float) -> None:
        """Let a grant end no later than `at`."""
        self._db.execute("update grant_ set expires_at=min(expires_at, ?) where grant_id=?", (at, grant_id))

    def delete_grant(self, grant_id: str) -> None:
        """Delete one."""
        self._db.execute("delete from grant_ where grant_id=?", (grant_id,))

    def seen(self, command_id: str) -> SeenRow | None:
        """A command id that was used."""
        row = self._one("select * from seen where command_id=?", command_id)
        return SeenRow(*row) if row else None

    def remember(self, row: SeenRow) -> None:
        """Remember a command id."""
        self._put("seen", row.command_id, row.grant_id, row.body_hash, row.expires_at)

    # endings

    def end_sid(self, issuer: str, sub: str, sid: str, until: float) -> list[str]:
        """Delete everything of a sign-in and remember its sid."""
        if sid:
            self._put("ended_sid", issuer, sid, until)
            return self._end("issuer=? and sid=?", issuer, sid)
        return self._end("issuer=? and sub=?", issuer, sub)

    def end_link(self, subject: Subject) -> list[str]:
        """Delete everything of a subject."""
        return self._end("issuer=? and sub=?", subject.issuer, subject.sub)

    def _end(self, where: str, *values: str) -> list[str]:
        passes = [row[0] for row in self._db.execute(f"select cookie_hash from pass where {where}", values)]  # noqa: S608
        for table in ("code", "door_code", "grant_", "session", "pass"):
            self._db.execute(f"delete from {table} where {where}", values)  # noqa: S608 (our own names)
        return passes

    def sid_ended(self, issuer: str, sid: str, now: float) -> bool:
        """Whether this sid ended lately."""
        return bool(sid) and self._one(
            "select 1 from ended_sid where issuer=? and sid=? and until>?", issuer, sid, now
        ) is not None  # fmt: skip

    # browsers

    def session(self, cookie_hash: str) -> SessionRow | None:
        """A gateway session."""
        row = self._one("select * from session where cookie_hash=?", cookie_hash)
        if row is None:
            return None
        subject = Subject(row[1], row[2]) if row[1] is not None else None
        return SessionRow(row[0], subject, row[3], row[4], row[5])

    def put_session(self, row: SessionRow) -> None:
        """Store one."""
        who = row.subject
        self._put(
            "session", row.cookie_hash, who.issuer if who else None, who.sub if who else None, row.sid, row.data,
            row.expires_at,
        )  # fmt: skip

    def delete_session(self, cookie_hash: str) -> None:
        """Delete one."""
        self._db.execute("delete from session where cookie_hash=?", (cookie_hash,))

    def put_door_code(self, row: DoorCodeRow) -> None:
        """Store a one-time code into a workspace."""
        who = row.subject
        self._put(
            "door_code", row.code_hash, row.workspace_id, row.state_hash, who.issuer, who.sub, row.sid, row.expires_at
        )  # fmt: skip

    def take_door_code(self, code_hash: str) -> DoorCodeRow | None:
        """The code, and delete it."""
        row = self._one("delete from door_code where code_hash=? returning *", code_hash)
        return DoorCodeRow(row[0], row[1], row[2], Subject(row[3], row[4]), *row[5:]) if row else None

    def door_codes(self) -> int:
        """How many there are."""
        row = self._one("select count(*) from door_code")
        return int(row[0]) if row else 0

    def put_pass(self, row: PassRow) -> None:
        """Store a workspace cookie."""
        who = row.subject
        self._put(
            "pass", row.cookie_hash, row.workspace_id, who.issuer, who.sub, row.sid, row.generation, row.expires_at
        )

    def pass_of(self, cookie_hash: str) -> PassRow | None:
        """One workspace cookie."""
        row = self._one("select * from pass where cookie_hash=?", cookie_hash)
        return PassRow(row[0], row[1], Subject(row[2], row[3]), *row[4:]) if row else None

    # workspaces

    def workspace(self, workspace_id: str) -> WorkspaceRow | None:
        """One workspace."""
        row = self._one("select * from workspace where workspace_id=?", workspace_id)
        return _workspace(row) if row else None

    def put_workspace(self, row: WorkspaceRow) -> None:
        """Store or replace one."""
        who = row.subject
        self._put(
            "workspace", row.workspace_id, who.issuer, who.sub, row.immutable_id, row.order_hash, row.environment,
            row.flavour, json.dumps(row.proposals), row.title, row.lifetime_s, row.state.value, row.sequence,
            row.steps, row.handle, row.secret, row.reason, row.message, row.created_at, row.ends_at, row.ended_at,
        )  # fmt: skip

    def workspaces(self, ended_after: float) -> Sequence[WorkspaceRow]:
        """All that live, and those that ended after an instant."""
        sql = "select * from workspace where ended_at is null or ended_at>? order by created_at"
        return [_workspace(row) for row in self._db.execute(sql, (ended_after,))]

    def living_of(self, immutable_id: str) -> int:
        """How many workspaces of an account live."""
        row = self._one("select count(*) from workspace where immutable_id=? and ended_at is null", immutable_id)
        return int(row[0]) if row else 0

    def sweep(self, now: float) -> None:
        """Delete what has expired."""
        for table in ("code", "door_code", "grant_", "seen", "session", "pass"):
            self._db.execute(f"delete from {table} where expires_at<?", (now,))  # noqa: S608 (our own names)
        self._db.execute("delete from ended_sid where until<?", (now,))


def _link(row: tuple[Any, ...]) -> LinkRow:
    return LinkRow(Subject(row[0], row[1]), row[2], row[3], row[4], bool(row[5]))


def _grant(row: tuple[Any, ...]) -> GrantRow:
    return GrantRow(row[0], Subject(row[1], row[2]), *row[3:])


def _workspace(row: tuple[Any, ...]) -> WorkspaceRow:
    return WorkspaceRow(
        row[0], Subject(row[1], row[2]), row[3], row[4], row[5], row[6], tuple(json.loads(row[7])), row[8], row[9],
        WorkspaceState(row[10]), *row[11:],
    )  # fmt: skip
