"""What a PaNOSC search API showed at the last looks: one SQLite file. Looks are numbered; what the newest whole one missed is forgotten."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Set
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from facility_agent.adapters.catalogue.indexed import WORDS, marks, narrowed, rank
from facility_agent.adapters.catalogue.panosc_records import Seen
from facility_agent.adapters.catalogue.values import LISTED
from shared import cursors
from shared.catalogue import (
    ArchiveState,
    Dataset,
    Member,
    Parameter,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.errors import NotFound
from shared.techniques import narrower

NO_DATASET = "There is no such dataset."
_VERSION = 1  # of the tables; an older index is read anew
_NAMES = ("dataset", "belongs", "technique", "proposal", "words", "standing")
_TABLES = """
create table if not exists standing (look integer not null, read_at real);
create table if not exists dataset (
    id integer primary key, pid text not null unique, raw text not null, instrument text, started real, rank real,
    digest blob, data blob, look integer
);
create index if not exists dataset_raw on dataset (raw);
create index if not exists dataset_rank on dataset (rank, pid);
create table if not exists belongs (proposal text, pid text, primary key (proposal, pid)) without rowid;
create index if not exists belongs_pid on belongs (pid);
create table if not exists technique (term text, pid text, primary key (term, pid)) without rowid;
create index if not exists technique_pid on technique (pid);
create table if not exists proposal (pid text primary key, said text, data blob, look integer);
"""


class Index:
    """Opens a connection per call, so any thread may ask while one thread writes. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
            if db.execute("pragma user_version").fetchone()[0] != _VERSION:
                db.executescript("".join(f"drop table if exists {name};" for name in _NAMES))
            db.executescript(f"pragma journal_mode=wal; pragma user_version={_VERSION};" + _TABLES + WORDS)
            if db.execute("select count(*) from standing").fetchone()[0] == 0:
                db.execute("insert into standing values (0, null)")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=5)) as db:
            db.execute("pragma synchronous=normal")
            db.execute("begin immediate")
            yield db
            db.execute("commit")

    def _reading(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._path, isolation_level=None, timeout=5))

    def read_at(self) -> float | None:
        """When the last whole look began, None for never."""
        with self._reading() as db:
            found: float | None = db.execute("select read_at from standing").fetchone()[0]
        return found

    def clear(self) -> None:
        """Forget everything."""
        with self._writing() as db:
            for name in _NAMES[:-1]:
                db.execute(f"delete from {name}")  # noqa: S608
            db.execute("update standing set read_at = null")

    def begin(self) -> int:
        """The number of a new look."""
        with self._writing() as db:
            db.execute("update standing set look = look + 1")
            number: int = db.execute("select look from standing").fetchone()[0]
        return number

    def see(self, look: int, datasets: Iterable[Seen], hidden: Collection[str]) -> None:
        """Keep public datasets; what is `hidden` (pids in the API) is public no longer, whatever else the look finds."""
        with self._writing() as db:
            for raw in hidden:
                _drop(db, [row[0] for row in db.execute("select pid from dataset where raw=?", (raw,))])
            for seen in datasets:
                _put(db, look, seen)

    def see_proposals(self, look: int, proposals: Iterable[Proposal], hidden: Collection[str]) -> None:
        """Keep public proposals; what is `hidden` is public no longer."""
        with self._writing() as db:
            db.executemany("delete from proposal where pid=?", [(name,) for name in hidden])
            for p in proposals:
                said = " ".join([p.pid, p.title, p.summary]).casefold()
                db.execute(
                    "insert or replace into proposal values (?, ?, ?, ?)", (p.pid, said, orjson.dumps(p), look)
                )

    def finish(self, look: int, began: float) -> None:
        """The look was whole: what it has not seen is gone."""
        with self._writing() as db:
            _drop(db, [row[0] for row in db.execute("select pid from dataset where look<>?", (look,))])
            db.execute("delete from proposal where look<>?", (look,))
            db.execute("update standing set read_at=?", (began,))

    def search(self, query: SearchQuery, own: Set[str] | None = None) -> SearchPage:
        """One page, newest first; of these `own` proposals alone when they are given. Raises InvalidRequest for a foreign cursor."""
        where, values = narrowed(query)
        for names in (query.proposals or None, None if own is None else sorted(own)):
            if names is not None:
                where.append(f"pid in (select pid from belongs where proposal in ({marks(names)}))")  # noqa: S608 (marks only)
                values += names
        if query.techniques:
            asked = sorted(frozenset[str]().union(*map(narrower, query.techniques)))
            where.append(f"pid in (select pid from technique where term in ({marks(asked)}))")  # noqa: S608
            values += asked
        if query.after:
            where.append("(rank, pid) > (?, ?)")
            values += cursors.read(query.after, float, str)
        sql = f"select data, rank, pid from dataset where {' and '.join(where) or '1'} order by rank, pid limit ?"  # noqa: S608
        with self._reading() as db:
            rows = db.execute(sql, [*values, query.limit + 1]).fetchall()
        more, rows = len(rows) > query.limit, rows[: query.limit]
        shown = set(query.proposals) | (own or set())
        return SearchPage(
            tuple(_dataset(data, shown) for data, _, _ in rows), cursors.write(*rows[-1][1:]) if more else ""
        )

    def get(self, pid: str) -> tuple[str, Dataset]:
        """One dataset and its pid in the API. Raises NotFound."""
        with self._reading() as db:
            row = db.execute("select raw, data from dataset where pid=?", (pid,)).fetchone()
        if row is None:
            raise NotFound(NO_DATASET)
        return row[0], _dataset(row[1], set())

    def proposals(self, query: ProposalQuery) -> ProposalPage:
        """One page of proposals with the instruments of their datasets. Raises InvalidRequest."""
        where, values = ["pid > ?"], [cursors.read(query.after, str)[0] if query.after else ""]
        if query.proposals:
            where.append(f"pid in ({marks(query.proposals)})")
            values += query.proposals
        for word in query.text.casefold().split():
            where.append("instr(said, ?)")
            values.append(word)
        sql = f"select data from proposal where {' and '.join(where)} order by pid limit ?"  # noqa: S608
        used = f"select distinct instrument from dataset join belongs using (pid) where proposal=? and instrument<>'' order by 1 limit {LISTED}"  # noqa: S608
        with self._reading() as db:
            read = [_proposal(row[0]) for row in db.execute(sql, [*values, query.limit + 1]).fetchall()]
            page = tuple(
                replace(each, instruments=tuple(row[0] for row in db.execute(used, (each.pid,))))
                for each in read[: query.limit]
            )
        return ProposalPage(page, cursors.write(page[-1].pid) if len(read) > query.limit else "")

    def instruments(self) -> tuple[str, ...]:
        """The instruments of all datasets."""
        with self._reading() as db:
            rows = db.execute("select distinct instrument from dataset where instrument<>'' order by 1")
            return tuple(row[0] for row in rows)

    def names(self) -> frozenset[str]:
        """Every proposal."""
        with self._reading() as db:
            return frozenset(row[0] for row in db.execute("select pid from proposal"))


def _put(db: sqlite3.Connection, look: int, seen: Seen) -> None:
    d = seen.dataset
    data = orjson.dumps({"shown": d, "proposals": seen.proposals})
    digest = hashlib.blake2b(data + seen.text.encode(), digest_size=16).digest()
    known = db.execute("select digest from dataset where pid=?", (d.pid,)).fetchone()
    if known == (digest,):
        db.execute("update dataset set look=? where pid=?", (look, d.pid))
        return
    if known is not None:
        _drop(db, [d.pid])
    values = (d.pid, seen.raw, d.instrument, d.started, rank(d.started), digest, data, look)
    number = db.execute("insert into dataset values (null, ?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid
    db.executemany("insert into belongs values (?, ?)", [(name, d.pid) for name in seen.proposals])
    db.executemany("insert into technique values (?, ?)", [(term, d.pid) for term in d.techniques])
    db.execute("insert into words (rowid, text, sample) values (?, ?, ?)", (number, seen.text, d.sample))


def _drop(db: sqlite3.Connection, pids: Collection[str]) -> None:
    for pid in pids:
        db.execute("delete from words where rowid=(select id from dataset where pid=?)", (pid,))
        for name in ("dataset", "belongs", "technique"):
            db.execute(f"delete from {name} where pid=?", (pid,))  # noqa: S608


def _dataset(data: bytes, wanted: set[str]) -> Dataset:
    """As it was shown; of several proposals one that was asked for is named."""
    kept = orjson.loads(data)
    said = kept["shown"]
    name = next((name for name in kept["proposals"] if name in wanted), said["proposal"])
    return Dataset(
        **said
        | {
            "proposal": name,
            "state": ArchiveState(said["state"]),
            "techniques": tuple(said["techniques"]),
            "keywords": tuple(said["keywords"]),
            "parameters": tuple(Parameter(**each) for each in said["parameters"]),
        }
    )


def _proposal(data: bytes) -> Proposal:
    said = orjson.loads(data)
    lists = {name: tuple(said[name]) for name in ("instruments", "keywords")}
    return Proposal(**said | lists | {"members": tuple(Member(**each) for each in said["members"])})
