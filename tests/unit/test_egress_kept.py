"""The centre asks for the record that it keeps: a cut tail shows however the log has grown, and nothing else complains."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from central_portal.link.heads import UNSAID, Heads
from central_portal.link.ports import EgressHead, HeadNews
from facility_agent.egress.chain import sealed
from facility_agent.egress.files import Damaged, LogFiles, log_files
from facility_agent.egress.log import EgressLog
from facility_agent.egress.looking import hash_of
from facility_agent.egress.reading import records
from facility_agent.ports.egress import Head
from shared.errors import BackendUnavailable
from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.link.outputs import LogWord
from shared.link.terms import DEFAULT
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from tests.link_parts import Enrolment
from tests.unit.test_egress_log import files_in, scratch, written


def resealed(folder: Path, bodies: list[dict[str, object]], *, head_too: bool) -> Head:
    """What somebody who knows the format makes of the first file: whole in itself."""
    lines, head = b"", Head()
    for body in bodies:
        line, head = sealed(body, head)
        lines += line
    log_files(folder / "egress")[0].write_bytes(lines)
    if head_too:
        (folder / "egress.head").write_bytes(b"%020d %s\n" % (head.sequence, head.hash.encode()))
    return head


def bodies_of(folder: Path) -> list[dict[str, object]]:
    chained = ("sequence", "previous", "hash")
    return [{key: said[key] for key in said if key not in chained} for said in records(folder / "egress")]


def heads_of(kept: EgressHead) -> tuple[Heads, Enrolment]:
    """A hub that has just let in the second session of an agent, of whose log `kept` is kept."""
    registry = Enrolment()
    if kept.sequence:
        registry.heads["alpha"] = HeadNews(kept)
    heads = Heads(registry)
    heads.opened("alpha", 2, kept)
    return heads, registry


def log_word(folder: Path, head: Head, asked: int) -> LogWord:
    """A heartbeat's word of an honest agent on this folder."""
    found = bytes.fromhex(hash_of(folder / "egress", asked)) if asked else b""
    return LogWord(head.sequence, bytes.fromhex(head.hash), asked, found)


class World:
    """An honest agent on a log that others cut, hubs that die, and what each of them knows.

    `log` is the model: a number that never comes again for each record. `said` are heads that any hub heard, `kept` those
    that the registry ever held; each as (length, the last record's number), found by what the head looked like.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.registry, self.epoch, self.number = folder, Enrolment(), 0, 0
        self.log: list[int] = []
        self.heads: dict[EgressHead, tuple[int, int]] = {}
        self.kept: set[tuple[int, int]] = set()
        self.hubs = [Heads(self.registry), Heads(self.registry)]
        self.files = files_in(folder)
        self.files.open()
        self.at, self.asked = 0, 0
        self.dial(0)

    def dial(self, hub: int) -> None:
        self.epoch += 1
        self.at, self.asked = hub, 0
        kept = self.registry.heads.get("alpha", HeadNews(EgressHead())).head
        self.hubs[hub].opened("alpha", self.epoch, kept)

    def append(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            line, head = sealed({"verb": "v", "bytes": self.number}, self.files.head)
            self.files.append(line, head)
            self.log.append(self.number)

    def ask(self) -> None:
        self.asked = self.hubs[self.at].asked("alpha", self.epoch) or self.asked

    def beat(self) -> None:
        word = log_word(self.folder, self.files.head, self.asked)
        self.hubs[self.at].said("alpha", self.epoch, word)
        if self.log:
            self.heads[EgressHead(word.sequence, word.hash.hex())] = (len(self.log), self.log[-1])

    def keep(self, hub: int) -> None:
        asyncio.run(self.hubs[hub].keep(["alpha"]))
        row = self.registry.heads.get("alpha")
        if row is not None:
            self.kept.add(self.heads[row.head])

    def restart(self, hub: int, cut: int) -> None:
        """The agent stops, somebody takes records off and seals it anew, and the agent starts."""
        self.files.close()
        if cut:
            bodies = bodies_of(self.folder)
            resealed(self.folder, bodies[: len(bodies) - cut], head_too=True)
            self.log = self.log[: len(self.log) - cut] if cut < len(self.log) else []
        self.files = files_in(self.folder)
        self.files.open()
        self.dial(hub)

    def take(self, what: str, number: int, hub: int) -> None:
        """One step of what happens."""
        match what:
            case "append":
                self.append(number)
            case "beat":
                self.beat()
            case "round":
                self.ask()
                self.beat()
            case "keep":
                self.keep(hub)
            case "crash":
                self.hubs[hub] = Heads(self.registry)
                self.dial(self.at)
            case "restart":
                self.keep(self.at)
                self.restart(hub, 0)
            case "cut":
                self.restart(self.at, min(number, len(self.log)))
            case "regrow":
                self.restart(hub, min(number, len(self.log)))
                self.append(number + 1)

    @property
    def said(self) -> set[tuple[int, int]]:
        return set(self.heads.values())

    def lost(self, heads: set[tuple[int, int]]) -> bool:
        """Whether the log has lost any of these."""
        return any(length > len(self.log) or self.log[length - 1] != number for length, number in heads)

    @property
    def complaint(self) -> str:
        row = self.registry.heads.get("alpha")
        return row.complaint if row else ""


@contextmanager
def world() -> Iterator[World]:
    with scratch() as folder:
        made = World(folder)
        try:
            yield made
        finally:
            made.files.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 2)),
        st.tuples(st.sampled_from(["beat", "round", "round"]), st.just(0)),
        st.tuples(st.sampled_from(["keep", "keep", "crash", "restart"]), st.integers(0, 1)),
        st.tuples(st.sampled_from(["cut", "regrow"]), st.integers(1, 3)),
    ),
    min_size=5,
    max_size=25,
)


ONE = [("append", 1), ("beat", 0), ("keep", 0)]
UNASKED = [("beat", 0), ("keep", 0), ("crash", 0)]
MOVED = [
    ("append", 1),
    ("round", 0),
    ("restart", 1),
    ("append", 2),
    ("round", 0),
    ("round", 0),
    ("keep", 1),
    ("regrow", 2),
]


@example([*ONE, ("regrow", 1), *UNASKED], False)
@example([*ONE, ("regrow", 1), ("crash", 0), *UNASKED], False)
@example(MOVED, True)
@given(STEPS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_lost_record_that_is_kept_shows_and_nothing_shows_that_was_not_lost(
    steps: list[tuple[str, int]], two: bool
) -> None:
    """Appends, cuts, restarts, hubs that die or are changed, heartbeats that cross, in any order."""
    with world() as w:
        for what, number in steps:
            w.take(what, number, number % 2 if two else 0)
            if w.complaint:
                assert w.lost(w.said)
        for _ in range(3):
            w.ask()
            w.beat()
            w.keep(w.at)
        assert bool(w.complaint) or not w.lost(w.kept)
        assert w.lost(w.said) or not w.complaint
        if not w.complaint and w.log:
            assert w.registry.heads["alpha"].head.sequence == len(w.log), "an honest log is kept up with"


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_head_that_one_hub_heard_is_missed_at_the_next_session(
    size: int, cut: int, more: int, kept: bool
) -> None:
    """Kept or not: the hub remembers it."""
    with world() as w:
        w.append(size)
        w.beat()
        if kept:
            w.keep(0)
        w.restart(0, min(cut, size))
        w.append(more)
        for _ in range(2):
            w.ask()
            w.beat()
        w.keep(0)
        assert w.complaint


def test_a_heartbeat_that_says_nothing_any_more_is_a_complaint(caplog: pytest.LogCaptureFixture) -> None:
    heads, registry = heads_of(EgressHead())
    heads.said("alpha", 2, LogWord())
    asyncio.run(heads.keep(["alpha"]))
    assert registry.heads == {}, "an agent without a log has never said anything"
    heads.said("alpha", 2, LogWord(3, b"h" * 32))
    assert "alpha" not in caplog.text
    for _ in range(3):
        heads.said("alpha", 2, LogWord())
    assert caplog.text.count("say nothing of its egress log, which held 3 records") == 1
    asyncio.run(heads.keep(["alpha"]))
    assert "say nothing" in registry.heads["alpha"].complaint
    later, _ = heads_of(EgressHead(3, "ab" * 32))
    later.said("alpha", 2, LogWord())
    assert caplog.text.count("say nothing of its egress log, which held 3 records") == 2, (
        "kept before this hub began"
    )


def test_an_agent_that_never_shows_the_record_is_a_complaint_after_a_while_and_is_not_believed() -> None:
    kept = EgressHead(3, "ab" * 32)
    heads, registry = heads_of(kept)
    for n in range(UNSAID + 1):
        assert not heads._known["alpha"].told
        heads.said("alpha", 2, LogWord(4 + n, b"h" * 32))
    asyncio.run(heads.keep(["alpha"]))
    assert registry.heads["alpha"] == HeadNews(kept, "its agent does not show record 3 of its egress log")


def test_what_the_operator_forgets_is_believed_anew() -> None:
    kept = EgressHead(3, "ab" * 32)
    heads, registry = heads_of(kept)
    heads.said("alpha", 2, LogWord(2, b"h" * 32))
    asyncio.run(heads.keep(["alpha"]))
    assert "went back" in registry.heads["alpha"].complaint
    del registry.heads["alpha"]
    heads.said("alpha", 2, LogWord(4, b"i" * 32, 3, b""))
    asyncio.run(heads.keep(["alpha"]))
    assert registry.heads["alpha"] == HeadNews(EgressHead(4, (b"i" * 32).hex()))
    heads.said("alpha", 2, LogWord(5, b"j" * 32, 4, b"i" * 32))
    asyncio.run(heads.keep(["alpha"]))
    assert registry.heads["alpha"] == HeadNews(EgressHead(5, (b"j" * 32).hex()))


def test_an_older_session_is_passed_over() -> None:
    """Two streams of one agent are read in any order."""
    heads, registry = heads_of(EgressHead())
    heads.said("alpha", 2, LogWord(9, b"h" * 32))
    heads.opened("alpha", 3, EgressHead())
    heads.said("alpha", 3, LogWord(12, b"i" * 32, 9, b"h" * 32))
    heads.said("alpha", 2, LogWord(10, b"j" * 32))
    assert (heads.asked("alpha", 2), heads.asked("alpha", 3)) == (0, 12)
    asyncio.run(heads.keep(["alpha"]))
    assert registry.heads["alpha"] == HeadNews(EgressHead(12, (b"i" * 32).hex()))


def test_the_two_ends_carry_the_question_and_its_answer() -> None:
    words, asked, heard = [LogWord(7, b"a" * 32)], list[int](), list[LogWord]()
    centre = CentreEnd(DEFAULT, 0.0)
    agent = AgentEnd(DEFAULT, pb.Hello(facility_id="alpha"), 0.0, log_word=lambda: words[-1])
    centre.on_log_word, centre.log_asked, agent.on_asked = heard.append, lambda: 5, asked.append
    centre.receive(agent.next_frame() or b"", 0.0)
    centre.welcome(1, "s", 1, 0.0)
    agent.receive(centre.next_frame() or b"", 0.0)
    for word in (LogWord(8, b"b" * 32, 5, b"c" * 32), LogWord(9, b"short", 5, b""), LogWord()):
        words.append(word)
        now = 8.0 * len(words)
        for end in (centre, agent):
            end._heard = now
            end.tick(now)
        agent.receive(centre.next_frame() or b"", now)
        centre.receive(agent.next_frame() or b"", now)
    assert asked == [5, 5, 5]
    assert heard == [LogWord(8, b"b" * 32, 5, b"c" * 32), LogWord(0, b"", 5, b""), LogWord()]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(200, 20_000), st.randoms())
@settings(max_examples=60, deadline=None)
def test_a_record_is_found_by_its_number_in_files_of_any_size(
    groups: list[int], limit: int, chance: random.Random
) -> None:
    with scratch() as folder:
        head = written(folder, groups, limit)
        hashes = {line["sequence"]: line["hash"] for line in records(folder / "egress")}
        assert hashes[head.sequence] == head.hash
        for sequence in [*chance.sample(sorted(hashes), min(8, len(hashes))), head.sequence]:
            assert hash_of(folder / "egress", sequence) == hashes[sequence]
        assert hash_of(folder / "egress", head.sequence + 1) == hash_of(folder / "egress", 0) == ""
        files = log_files(folder / "egress")
        if len(files) > 1:  # the oldest one was archived: its last record is known by the next
            files[0].unlink()
            first = json.loads(files[1].read_text().partition("\n")[0])["sequence"]
            assert hash_of(folder / "egress", first - 1) == hashes[first - 1]
            assert hash_of(folder / "egress", first - 2) == ""


def test_what_is_no_whole_record_is_not_there(tmp_path: Path) -> None:
    head = written(tmp_path, [5])
    path = log_files(tmp_path / "egress")[0]
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for damage in (
        whole[:-1],
        b"".join(lines[:-1]),
        whole.replace(b'"bytes":5', b'"bytes":7'),
        b"\n" * 400,
        b"\xff" * 99,
    ):
        path.write_bytes(damage)
        assert hash_of(tmp_path / "egress", head.sequence) == "", damage[-40:]
    path.unlink()
    assert hash_of(tmp_path / "egress", head.sequence) == hash_of(tmp_path / "nowhere", 1) == ""


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_log_that_is_cut_under_a_running_agent_takes_nothing(tmp_path: Path, replaced: bool) -> None:
    """Its own head forged with it: what the agent has appended itself it must find again."""
    log = EgressLog(LogFiles(tmp_path / "egress", tmp_path / "egress.head", 10**9), lambda: 0.0)
    try:
        for number in range(5):
            await log.append([{"verb": "v", "bytes": number}])
        before = log.head
        path = log_files(tmp_path / "egress")[0]
        if replaced:
            path.rename(tmp_path / "moved")
            path.write_bytes((tmp_path / "moved").read_bytes())
        resealed(tmp_path, bodies_of(tmp_path)[:3], head_too=True)
        cut = path.read_bytes()
        for _ in range(2):
            with pytest.raises(BackendUnavailable):
                await log.append([{"verb": "later"}])
        assert (path.read_bytes(), log.head) == (cut, before), "nothing was appended, and no other head is said"
        files = LogFiles(tmp_path / "egress", tmp_path / "egress.head", 10**9)
        files.head = before
        with pytest.raises(Damaged):
            files.open()
    finally:
        log.close()
