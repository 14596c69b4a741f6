"""The egress log: what was acknowledged is there, and nothing in it can be changed unseen."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility_agent.egress.chain import sealed
from facility_agent.egress.files import Damaged, LogFiles, log_files, read_head
from facility_agent.egress.log import EgressLog
from facility_agent.egress.reading import records, verify
from facility_agent.ports.egress import Head
from shared.errors import BackendUnavailable


def files_in(folder: Path, file_bytes: int = 10**9) -> LogFiles:
    return LogFiles(folder / "egress", folder / "egress.head", file_bytes)


def written(folder: Path, groups: list[int], file_bytes: int = 10**9) -> Head:
    """A log of groups of this many records; its head."""
    files, number = files_in(folder, file_bytes), 0
    files.open()
    for size in groups:
        lines, head = b"", files.head
        for _ in range(size):
            number += 1
            line, head = sealed({"at": "x", "verb": "catalogue.search", "bytes": number}, head)
            lines += line
        files.append(lines, head)
    files.close()
    return files.head


def judged(folder: Path, given: Head | None = None) -> str:
    return verify(folder / "egress", folder / "egress.head", given).problem


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="egress-") as name:
        yield Path(name)


def lines_of(folder: Path) -> list[tuple[Path, list[bytes]]]:
    return [(path, path.read_bytes().splitlines(keepends=True)) for path in log_files(folder / "egress")]


GROUPS = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@given(GROUPS, st.sampled_from([300, 700, 10**9]))
@settings(max_examples=60, deadline=None)
def test_a_log_is_whole_over_rotations_and_new_starts(groups: list[int], file_bytes: int) -> None:
    with scratch() as folder:
        for group in groups:  # each opens it anew
            files = files_in(folder, file_bytes)
            files.open()
            head, lines = files.head, b""
            for _ in range(group):
                line, head = sealed({"verb": "v"}, head)
                lines += line
            files.append(lines, head)
            files.close()
        verdict = verify(folder / "egress", folder / "egress.head", head)
        assert (verdict.problem, verdict.head) == ("", head)
        assert [r["sequence"] for r in records(folder / "egress")] == list(range(1, sum(groups) + 1))
        if file_bytes == 300:
            assert len(log_files(folder / "egress")) >= min(2, len(groups))


@given(GROUPS, st.sampled_from([700, 10**9]), st.data())
@settings(max_examples=400, deadline=None)
def test_any_single_change_is_found(groups: list[int], file_bytes: int, data: st.DataObject) -> None:
    with scratch() as folder:
        head = written(folder, groups, file_bytes)
        assert judged(folder) == ""
        path, lines = data.draw(st.sampled_from(lines_of(folder)))
        index = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["flip", "remove", "twice", "swap", "truncate", "insert", "byte", "file"]))
        content = b"".join(lines)
        if how == "flip":
            at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
            changed = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
        elif how == "remove":
            changed = b"".join(lines[:index] + lines[index + 1 :])
        elif how == "twice":
            changed = b"".join([*lines[: index + 1], *lines[index:]])
        elif how == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[index], lines[other] = lines[other], lines[index]
            changed = b"".join(lines)
        elif how == "truncate":
            changed = content[: data.draw(st.integers(0, len(content) - 1))]
        elif how == "insert":
            strange, _ = sealed({"verb": "v"}, Head(index, "1" * 64))
            changed = b"".join([*lines[:index], strange, *lines[index:]])
        elif how == "byte":
            at = data.draw(st.integers(0, len(content)))
            changed = content[:at] + data.draw(st.binary(min_size=1, max_size=3)) + content[at:]
        else:
            path.unlink()
            assert judged(folder)
            return
        path.write_bytes(changed)
        if changed == content:
            assert judged(folder) == ""
            return
        assert judged(folder)
        assert judged(folder, head)


def test_a_log_made_anew_is_found_by_a_head_that_somebody_else_keeps(tmp_path: Path) -> None:
    """Whoever may write the files can make a log that is whole in itself, its own head included."""
    head = written(tmp_path, [3])
    shutil.rmtree(tmp_path / "egress")
    (tmp_path / "egress.head").unlink()
    written(tmp_path, [2])
    assert judged(tmp_path) == ""
    assert "cut off" in judged(tmp_path, head)
    assert judged(tmp_path, Head(2, head.hash))


@pytest.mark.parametrize("end", ["cut", "kept"])
def test_the_last_record_is_missed_by_the_kept_head_alone(tmp_path: Path, end: str) -> None:
    written(tmp_path, [3])
    path, lines = lines_of(tmp_path)[0]
    path.write_bytes(b"".join(lines[:-1] if end == "cut" else lines))
    assert ("cut off" in judged(tmp_path)) is (end == "cut")


def test_a_crash_at_every_byte_of_an_append_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    head = written(tmp_path, [2, 1])
    kept, before = (tmp_path / "egress.head").read_bytes(), lines_of(tmp_path)[0][0].read_bytes()
    files = files_in(tmp_path)
    files.open()
    first, middle = sealed({"verb": "v", "bytes": 1}, files.head)
    second, end = sealed({"verb": "v", "bytes": 2}, middle)
    files.append(first + second, end)
    files.close()
    path, whole = lines_of(tmp_path)[0][0], lines_of(tmp_path)[0][0].read_bytes()
    for size in range(len(before), len(whole) + 1):
        path.write_bytes(whole[:size])
        (tmp_path / "egress.head").write_bytes(kept)  # it is written last
        files = files_in(tmp_path)
        files.open()
        expected = head if size < len(before + first) else middle if size < len(whole) else end
        assert files.head == expected
        assert (files.torn is not None) == (size not in (len(before), len(before + first), len(whole)))
        line, after = sealed({"verb": "next"}, files.head)
        files.append(line, after)
        files.close()
        assert judged(tmp_path, head) == ""


def test_a_crash_between_two_files_goes_on_in_the_new_one(tmp_path: Path) -> None:
    head = written(tmp_path, [2], 10)
    (tmp_path / "egress" / f"egress-{head.sequence + 1:012d}.jsonl").touch()
    files = files_in(tmp_path, 10)
    files.open()
    line, after = sealed({"verb": "next"}, files.head)
    files.append(line, after)
    files.close()
    assert after.sequence == head.sequence + 1
    assert judged(tmp_path) == ""


def test_what_was_acknowledged_and_is_gone_is_no_torn_tail(tmp_path: Path) -> None:
    written(tmp_path, [3])
    path, lines = lines_of(tmp_path)[0]
    for damage in (b"".join(lines[:-1]), b"".join(lines)[:-1], b"".join([lines[0], b"x" + lines[1], lines[2]])):
        path.write_bytes(damage)
        with pytest.raises(Damaged):
            files_in(tmp_path).open()
        assert path.read_bytes() == damage
    path.unlink()
    with pytest.raises(Damaged):
        files_in(tmp_path).open()
    written(tmp_path / "other", [1])
    (tmp_path / "other" / "egress.head").unlink()
    with pytest.raises(Damaged):
        files_in(tmp_path / "other").open()


async def test_whoever_waits_together_is_written_together_and_told_after(tmp_path: Path) -> None:
    groups: list[int] = []
    log = EgressLog(files_in(tmp_path, 20_000), lambda: 0.0, lambda size, _: groups.append(size))
    try:
        await asyncio.gather(*(log.append([{"verb": "v", "bytes": n}]) for n in range(500)))
        assert read_head(tmp_path / "egress.head") == log.head
        assert log.head.sequence == 501, "and one that says that the log began"
    finally:
        log.close()
    assert sum(groups) == 500
    assert len(groups) < 250
    assert judged(tmp_path) == ""
    said = list(records(tmp_path / "egress"))
    assert said[0]["verb"] == "log.began"
    assert sorted(r["bytes"] for r in said[1:]) == list(range(500))


async def test_no_two_logs_begin_alike(tmp_path: Path) -> None:
    heads = set()
    for name in "ab":
        log = EgressLog(files_in(tmp_path / name), lambda: 0.0)
        (tmp_path / name).mkdir()
        await log.append([{"verb": "v"}])
        heads.add(log.head)
        log.close()
    assert len(heads) == 2


class Full(LogFiles):
    """A disk that takes half of what is written, then nothing."""

    full = False

    def append(self, lines: bytes, head: Head) -> None:
        if not self.full:
            return super().append(lines, head)
        os.write(self._fd, lines[: len(lines) // 2])
        self._undo()
        raise OSError(errno.ENOSPC, "full")


async def test_a_full_disk_refuses_and_goes_on_later(tmp_path: Path) -> None:
    files = Full(tmp_path / "egress", tmp_path / "egress.head", 10**9)
    log = EgressLog(files, lambda: 0.0)
    try:
        await log.append([{"verb": "a"}])
        files.full, before = True, log.head
        with pytest.raises(BackendUnavailable, match="cannot record"):
            await log.append([{"verb": "b"}])
        assert (log.head, log.fault) == (before, "No space left on device")
        files.full = False
        await log.append([{"verb": "c"}])
        assert log.fault == ""
    finally:
        log.close()
    assert [r["verb"] for r in records(tmp_path / "egress")] == ["log.began", "a", "c"]
    assert judged(tmp_path) == ""


async def test_a_log_that_vanished_takes_nothing(tmp_path: Path) -> None:
    log = EgressLog(files_in(tmp_path), lambda: 0.0)
    try:
        await log.append([{"verb": "a"}])
        log_files(tmp_path / "egress")[0].rename(tmp_path / "moved")
        for _ in range(2):
            with pytest.raises(BackendUnavailable):
                await log.append([{"verb": "b"}])
        assert log_files(tmp_path / "egress") == []
    finally:
        log.close()


async def test_what_was_torn_off_is_told(tmp_path: Path) -> None:
    written(tmp_path, [1])
    with lines_of(tmp_path)[0][0].open("ab") as file:
        file.write(b'{"sequence":2,"prev')
    log = EgressLog(files_in(tmp_path), lambda: 0.0)
    await log.append([{"verb": "a"}])
    log.close()
    recovered = list(records(tmp_path / "egress"))[1]
    assert (recovered["verb"], recovered["bytes"]) == ("log.recovered", 19)
    assert judged(tmp_path) == ""


def test_a_record_is_a_line_of_json(tmp_path: Path) -> None:
    written(tmp_path, [1])
    said = json.loads(lines_of(tmp_path)[0][1][0])
    assert list(said) == ["sequence", "previous", "at", "verb", "bytes", "hash"]
