"""The index: one SQLite file over a folder of NeXus files, brought up to date by size, time and inode."""

from __future__ import annotations

import base64
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Set
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from facility_agent.adapters.catalogue.indexed import WORDS, misses, rank
from facility_agent.adapters.catalogue.nexus_questions import TECHNIQUES, conditions
from shared import cursors
from shared.catalogue import (
    DataFile,
    Dataset,
    FilePage,
    Order,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import GetFiles
from shared.errors import InvalidRequest, NotFound

SUFFIXES = frozenset({".nxs", ".nx5", ".nexus", ".h5", ".hdf5", ".hdf"})
MAGIC = b"\x89HDF\r\n\x1a\n"
_COLUMNS = "pid, title, proposal, instrument, sample, definition, started, ended, size"
_VERSION = 4  # of the tables; an older index is read anew
_TABLES = """
create table if not exists file (
    id integer primary key, path text not null unique, pid text not null unique, inode integer, size integer, mtime integer, title text,
    proposal text, instrument text, sample text, definition text, started real, ended real, rank real, problem text
);
create index if not exists file_rank on file (rank, pid);
create index if not exists file_proposal on file (proposal, rank, pid);
"""


class FileReader(Protocol):
    """Reads one file."""

    def read(self, path: Path) -> dict[str, Any]:
        """What it says. Raises TimeoutError, ValueError."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as a walk of the folder saw it."""

    path: str
    inode: int
    size: int
    mtime: int


def pid_of(facility_id: str, path: str) -> str:
    """The dataset's identifier: stable while the file keeps its place, and telling nothing of it."""
    digest = hashlib.blake2b(f"{facility_id}/{path}".encode(), digest_size=15).digest()
    return base64.b32encode(digest).decode().lower()


def walk(root: Path, closed: list[str]) -> Iterator[Seen]:
    """Every data file below `root`, relative; links are not followed. Folders that cannot be read go to `closed`.

    Raises OSError when the root itself cannot be read.
    """
    stack = [root]
    while stack:
        folder = stack.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            if folder == root:
                raise
            if not isinstance(error, FileNotFoundError):
                closed.append(os.path.relpath(folder, root))
            continue
        for entry in entries:
            if entry.is_symlink() or entry.name.startswith("."):
                continue
            if entry.is_dir():
                stack.append(Path(entry.path))
            elif entry.is_file() and _is_data(entry):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    stat = entry.stat()
                    yield Seen(os.path.relpath(entry.path, root), stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _is_data(entry: os.DirEntry[str]) -> bool:
    suffix = Path(entry.name).suffix.lower()
    if suffix in SUFFIXES:
        return True
    if suffix:
        return False
    try:
        with open(entry.path, "rb") as file:  # noqa: PTH123 (hot path)
            return file.read(8) == MAGIC
    except OSError:
        return False


class Index:
    """Opens a connection per call, so any thread may ask while one thread brings it up to date."""

    def __init__(self, path: Path, root: Path, facility_id: str) -> None:
        self._path, self._root, self._facility = path, root, facility_id
        with closing(self._connect()) as db:
            if db.execute("pragma user_version").fetchone()[0] != _VERSION:
                db.executescript("drop table if exists file; drop table if exists words;")
            db.executescript(f"pragma journal_mode=wal; pragma user_version={_VERSION};" + _TABLES + WORDS)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        db.execute("pragma synchronous=normal")
        return db

    def update(self, reader: FileReader, leaving: Callable[[], bool] = lambda: False) -> tuple[int, list[str]]:
        """Read what is new or has changed, forget what is gone; how many files were read, and which folders could not be.

        What cannot be seen is not gone: files below such folders stay known. Ends early, forgetting nothing, when
        `leaving` says so. Raises OSError when the root cannot be read.
        """
        read, closed = 0, list[str]()
        with closing(self._connect()) as db:
            known = {row[0]: row[1:] for row in db.execute("select path, inode, size, mtime from file")}
            present: set[str] = set()
            batch: list[tuple[Any, ...]] = []
            for seen in walk(self._root, closed):
                present.add(seen.path)
                if leaving():
                    break
                if known.get(seen.path) == (seen.inode, seen.size, seen.mtime):
                    continue
                batch.append(self._row(seen, reader))
                read += 1
                if len(batch) >= 200:
                    _store(db, batch)
                    batch = []
            _store(db, batch)
            if not leaving():
                hidden = tuple(f"{folder}/" for folder in closed)
                _forget(db, {path for path in known.keys() - present if not path.startswith(hidden)})
        return read, closed

    def _row(self, seen: Seen, reader: FileReader) -> tuple[Any, ...]:
        said: dict[str, Any] = {}
        problem = None
        try:
            said = reader.read(self._root / seen.path)
        except TimeoutError:
            problem = "reading it takes longer than 2 seconds"
        except ValueError as error:
            problem = str(error)
        first, _, rest = seen.path.partition("/")
        proposal = said.get("proposal") or (first if rest else "")
        started = said.get("started")
        return (
            seen.path, pid_of(self._facility, seen.path), seen.inode, seen.size, seen.mtime,
            said.get("title") or Path(seen.path).stem, proposal, said.get("instrument", ""), said.get("sample", ""),
            said.get("definition", ""), started, said.get("ended"), rank(started),
            problem,
        )  # fmt: skip

    def search(self, query: SearchQuery, readable: Set[str], open_: Set[str]) -> SearchPage:
        """One page; nothing of any proposal that is neither readable nor open."""
        where, values = conditions(query, readable | open_)
        missed, words = misses(query) if query.order is Order.RELEVANCE else ("", [])
        place, kinds = ("missed, rank, pid", (int, float, str)) if missed else ("rank, pid", (float, str))
        if query.after:
            where.append(f"({place}) > ({','.join('?' * len(kinds))})")
            values += cursors.read(query.after, *kinds)
        columns = f"{_COLUMNS}, {missed} missed, rank" if missed else f"{_COLUMNS}, rank"
        sql = f"select {columns} from file where {' and '.join(where)} order by {place} limit ?"  # noqa: S608
        with closing(self._connect()) as db:
            rows = db.execute(sql, [*words, *values, query.limit + 1]).fetchall()
        more, rows = len(rows) > query.limit, rows[: query.limit]
        found = tuple(_dataset(row, open_) for row in rows)
        return SearchPage(found, cursors.write(*rows[-1][9:], rows[-1][0]) if more else "")

    def get(self, pid: str, readable: Set[str], open_: Set[str]) -> Dataset:
        """One dataset. Raises NotFound."""
        with closing(self._connect()) as db:
            row = db.execute(f"select {_COLUMNS} from file where pid=? and problem is null", (pid,)).fetchone()  # noqa: S608
        if row is None or row[2] not in readable | open_:
            raise NotFound("There is no such dataset.")
        return _dataset(row, open_)

    def files(self, wanted: GetFiles, readable: Set[str], open_: Set[str]) -> FilePage:
        """The one file of a dataset. Raises NotFound, InvalidRequest."""
        self.get(wanted.pid, readable, open_)
        if wanted.after:
            raise InvalidRequest(cursors.FOREIGN)
        with closing(self._connect()) as db:
            row = db.execute("select path, size, mtime from file where pid=?", (wanted.pid,)).fetchone()
        if row is None:
            raise NotFound("There is no such dataset.")
        return FilePage((DataFile(Path(row[0]).name, row[1], row[2] / 1e9),), total=1)

    def proposals_page(self, query: ProposalQuery, readable: Set[str], open_: Set[str]) -> ProposalPage:
        """One page of proposals that have datasets; their times are those of the datasets. Raises InvalidRequest."""
        visible = readable | open_
        chosen = sorted(visible & set(query.proposals) if query.proposals else visible)
        words = query.text.casefold().split()
        after = cursors.read(query.after, str)[0] if query.after else ""
        names = [
            name for name in chosen if name and name > after and all(word in name.casefold() for word in words)
        ]
        marks = ",".join("?" * len(names))
        where = f"problem is null and proposal in ({marks}) group by proposal order by proposal limit ?"
        sql = f"select proposal, min(started), max(coalesce(ended, started)) from file where {where}"  # noqa: S608
        used = "select distinct instrument from file where proposal=? and instrument<>'' and problem is null order by 1"
        with closing(self._connect()) as db:
            rows = db.execute(sql, [*names, query.limit + 1]).fetchall()
            found = tuple(
                Proposal(
                    name, started=first, ended=last, instruments=tuple(row[0] for row in db.execute(used, (name,))),
                    is_open=name in open_,
                )
                for name, first, last in rows[: query.limit]
            )  # fmt: skip
        return ProposalPage(found, cursors.write(found[-1].pid) if len(rows) > query.limit else "")

    def instruments(self, proposals: Set[str]) -> tuple[str, ...]:
        """Instruments of these proposals' datasets."""
        marks = ",".join("?" * len(proposals))
        sql = f"select distinct instrument from file where instrument<>'' and proposal in ({marks}) order by 1"  # noqa: S608
        with closing(self._connect()) as db:
            return tuple(row[0] for row in db.execute(sql, sorted(proposals)))

    def proposals(self) -> frozenset[str]:
        """Every proposal that has a readable file; for the facility's operator."""
        sql = "select distinct proposal from file where problem is null and proposal<>''"
        with closing(self._connect()) as db:
            return frozenset(row[0] for row in db.execute(sql))

    def paths_of(self, proposal: str) -> list[str]:
        """Relative paths of a proposal's files."""
        with closing(self._connect()) as db:
            return [row[0] for row in db.execute("select path from file where proposal=? order by 1", (proposal,))]

    def others_below(self, folder: str, proposal: str) -> bool:
        """Whether a folder (empty for the root) holds files of another proposal."""
        prefix = f"{folder}/" if folder else ""
        sql = "select 1 from file where substr(path, 1, ?)=? and proposal<>? limit 1"
        with closing(self._connect()) as db:
            return db.execute(sql, (len(prefix), prefix, proposal)).fetchone() is not None

    def problems(self) -> list[tuple[str, str]]:
        """(relative path, why) of files that could not be read; for the facility's operator."""
        with closing(self._connect()) as db:
            return db.execute("select path, problem from file where problem is not null order by 1").fetchall()


def _dataset(row: tuple[Any, ...], open_: Set[str]) -> Dataset:
    pid, title, proposal, instrument, sample, definition, started, ended, size = row[:9]
    technique = TECHNIQUES.get(definition)
    return Dataset(
        pid, title, proposal, instrument, sample, definition, started, ended, size, 1, is_open=proposal in open_,
        techniques=(technique,) if technique else (),
    )  # fmt: skip


def _store(db: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    db.execute("begin immediate")
    for row in rows:
        _drop(db, row[0])
        number = db.execute(f"insert into file values (null,{','.join('?' * 14)})", row).lastrowid  # noqa: S608 (marks only)
        if row[-1] is None:
            said = " ".join(str(text) for text in row[5:10])
            db.execute(
                "insert into words (rowid, text, sample, title) values (?, ?, ?, ?)",
                (number, said, row[8], row[5]),
            )
    db.execute("commit")


def _forget(db: sqlite3.Connection, paths: Set[str]) -> None:
    db.execute("begin immediate")
    for path in paths:
        _drop(db, path)
    db.execute("commit")


def _drop(db: sqlite3.Connection, path: str) -> None:
    """By the row's number, which its words share: anything else reads all words."""
    known = db.execute("select id from file where path=?", (path,)).fetchone()
    if known is not None:
        db.execute("delete from words where rowid=?", known)
        db.execute("delete from file where id=?", known)
