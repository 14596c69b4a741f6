"""The log's files: appended and made durable, begun anew by size, mended after a crash. Used by one thread only."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facility_agent.egress.chain import Broken, follows, previous_of
from facility_agent.ports.egress import Head

TORN_BYTES = 1024 * 1024
"""More than one write; a longer tail that is no record is not what a crash leaves."""
_HEAD_BYTES = 86


class Damaged(Exception):
    """The log is not what this agent wrote, so nothing is appended. The message says why, to the operator."""


@dataclass(frozen=True, slots=True)
class Torn:
    """What a crash left of a record that was never acknowledged, and that was taken off."""

    size: int
    digest: str


def log_files(folder: Path) -> list[Path]:
    """The files in their order."""
    return sorted(folder.glob("egress-*.jsonl"))


def first_of(path: Path) -> int:
    """The sequence of a file's first record. Raises Broken for another name."""
    digits = path.name.removeprefix("egress-").removesuffix(".jsonl")
    if not digits.isdigit():
        raise Broken(f"{path.name} is not a name of the log's files")
    return int(digits)


def read_head(path: Path) -> Head | None:
    """The head beside the log, None when there is none. Raises Broken."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        if len(text) != _HEAD_BYTES:
            raise ValueError
        return Head.parse(f"{int(text[:20])}:{text[21:85].decode()}")
    except ValueError:
        raise Broken(f"{path.name} is damaged") from None


class LogFiles:
    """`folder` holds the records, `head_file` the head: every record up to it was acknowledged.

    Whatever fails leaves the files as they were, or is mended by the next `open`. Files that were opened once must still
    hold what was appended to them when they are opened again: a head that was changed with them does not excuse a cut.
    """

    def __init__(self, folder: Path, head_file: Path, file_bytes: int) -> None:
        self.folder, self._head_file, self._limit = folder, head_file, file_bytes
        self._path = folder
        self._fd = self._head_fd = -1
        self._size, self._file = 0, (0, 0)
        self.head = Head()
        self.torn: Torn | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be appended to."""
        return self._fd >= 0

    def open(self) -> None:
        """Find the end of the log. Raises Damaged, or OSError."""
        self.close()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            kept, files = read_head(self._head_file), log_files(self.folder)
            if files and kept is None:
                raise Damaged(f"{self._head_file.name} is gone")
            must = max(kept or Head(), self.head, key=lambda head: head.sequence)
            if not files and must.sequence:
                raise Damaged("its files are gone")
            self._open_head()
            if files:
                self._find_end(files, must)
            else:
                self._begin_file(Head())
        except Broken as error:
            self.close()
            raise Damaged(str(error)) from error
        except BaseException:
            self.close()
            raise

    def append(self, lines: bytes, head: Head) -> None:
        """Lines that end in `head`, durable before it returns. Raises Damaged or OSError; then nobody is told of them."""
        if self._stamp() != (*self._file, self._size):
            self.close()
            raise Damaged(f"{self._path.name} was removed, replaced or changed")
        if self._size and self._size + len(lines) > self._limit:
            os.close(self._fd)
            self._fd = -1
            self._begin_file(self.head)
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._fd, lines[written:])
        except OSError:
            self._undo()
            raise
        try:
            os.fdatasync(self._fd)
        except OSError:  # what the disk holds now is found out by reading it again
            self._undo()
            self.close()
            raise
        self._size, self.head = self._size + len(lines), head
        self._write_head(head)

    def close(self) -> None:
        """Close the files."""
        for fd in (self._fd, self._head_fd):
            if fd >= 0:
                with suppress(OSError):
                    os.close(fd)
        self._fd = self._head_fd = -1

    # --- inside

    def _find_end(self, files: list[Path], kept: Head) -> None:
        path = files[-1]
        first, content = first_of(path), path.read_bytes()
        head, good = _before(files, content), 0
        if head.sequence != first - 1:
            raise Damaged(f"{path.name} does not begin with record {first}")
        seen = head == kept or kept.sequence < head.sequence
        for line in content.splitlines(keepends=True):
            try:
                head = follows(line, head)
            except Broken:
                break
            good += len(line)
            seen = seen or head == kept
        if not seen or len(content) - good > TORN_BYTES:
            raise Damaged(f"record {head.sequence + 1} is missing or was changed")
        torn = content[good:]
        self._path, self._size, self.head = path, good, head
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._file = self._stamp()[:2]
        if torn:
            os.ftruncate(self._fd, good)
            os.fdatasync(self._fd)
            self.torn = Torn(len(torn), hashlib.sha256(torn).hexdigest())
        self._write_head(head)

    def _begin_file(self, after: Head) -> None:
        self._path = self.folder / f"egress-{after.sequence + 1:012d}.jsonl"
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._file, self._size, self.head = self._stamp()[:2], 0, after
        _sync_folder(self.folder)

    def _open_head(self) -> None:
        new = not self._head_file.exists()
        self._head_fd = os.open(self._head_file, os.O_WRONLY | os.O_CREAT, 0o600)
        if new:
            self._write_head(Head())
            os.fsync(self._head_fd)
            _sync_folder(self._head_file.parent)

    def _write_head(self, head: Head) -> None:
        """Not made durable: after a power cut it may be behind, never ahead of the log."""
        os.pwrite(self._head_fd, b"%020d %s\n" % (head.sequence, head.hash.encode()), 0)

    def _undo(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self.close()

    def _stamp(self) -> tuple[int, int, int]:
        """Device, inode and bytes."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 (once a write: no Path in between)
        except OSError:
            return 0, 0, 0
        return found.st_dev, found.st_ino, found.st_size


def _before(files: list[Path], content: bytes) -> Head:
    """The head before the last file: of the file before it, else as its first record says (earlier ones were archived)."""
    if len(files) > 1:
        before = files[-2].read_bytes()
        last = before[before.rfind(b"\n", 0, -1) + 1 :]
        return follows(last, previous_of(last))
    if not content or first_of(files[-1]) == 1:
        return Head(first_of(files[-1]) - 1)
    return previous_of(content[: content.find(b"\n") + 1])


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
