"""The head of an agent's egress log: it rides in heartbeats, the centre keeps it, and a cut tail shows there."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from central_portal import agents
from central_portal.agents import listed
from central_portal.database import in_database
from central_portal.facilities import heads
from central_portal.federation import FacilityTable, Federation
from central_portal.link.hub import Hub
from central_portal.link.metrics import EGRESS_COMPLAINTS
from central_portal.link.ports import EgressHead, HeadNews
from facility_agent.egress.allow import allowed
from facility_agent.egress.files import LogFiles
from facility_agent.egress.log import EgressLog
from facility_agent.egress.people import Pseudonyms
from facility_agent.egress.reading import records, verify
from facility_agent.egress.recorder import Recorder
from facility_agent.link.client import AgentLink
from facility_agent.link.leaving import Leaving
from facility_agent.ports.egress import Head
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from shared.link.terms import DEFAULT
from shared.wire.proof import token
from shared.wire.sieve import Sieve
from tests.link_parts import SmallCore, eventually
from tests.link_scene import Scene, open_scene
from tests.unit.test_egress_kept import bodies_of, resealed

FEDERATION = Federation(
    facilities=(FacilityTable(id="pinned", name="P", gateway="https://p.example", workspace_zone="w-p.example"),)
)


class Quick(Scene):
    """Signs of life a few times a second, both ways."""

    def new_hub(self, listen: str, **changes: Any) -> Hub:
        return super().new_hub(listen, terms=replace(DEFAULT, heartbeat_every=0.2), **changes)


class Logged:
    """An agent's log on disk, and the link whose words pass it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.head_file = folder / "egress", folder / "egress.head"
        self.store = SqliteStore(folder / "egress-test.sqlite3")
        self.log = EgressLog(LogFiles(self.folder, self.head_file, 10**9), time.time)
        people = Pseudonyms(self.store, KeyFileVault(folder / "vault.key"))
        self.recorder = Recorder(self.log, people, time.time)
        self.leaving = Leaving(Sieve(allowed()), self.recorder)

    def dial(self, scene: Scene) -> AgentLink:
        core = SmallCore("alpha")
        settings = scene.settings("alpha", terms=replace(DEFAULT, heartbeat_every=0.1))
        link = AgentLink(settings, core, desk=core, leaving=self.leaving)
        scene.tasks.append(asyncio.create_task(link.run()))
        return link

    def close(self) -> None:
        self.log.close()
        self.store.close()


async def test_a_tail_that_was_cut_and_has_grown_past_its_head_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent's own head is forged with it, and the log has more records than before when it first says so."""
    async with open_scene(tmp_path, Quick) as scene:
        first = Logged(tmp_path)
        link = first.dial(scene)
        await eventually(lambda: link.connected)
        for _ in range(3):
            await scene.ask()
        known = scene.hub._heads._known
        before = first.recorder.head
        await eventually(lambda: known["alpha"].highest.sequence == before.sequence)
        await scene.kill()
        await eventually(lambda: "alpha" in scene.enrolment.heads)
        assert str(scene.enrolment.heads["alpha"].head) == str(before)
        first.close()
        honest = Logged(tmp_path)  # an agent that is only restarted is believed
        link = honest.dial(scene)
        await eventually(lambda: link.connected)
        await eventually(lambda: known["alpha"].believed and known["alpha"].highest.sequence > before.sequence)
        await scene.kill()
        await eventually(lambda: scene.enrolment.heads["alpha"].head.sequence > before.sequence)
        kept = scene.enrolment.heads["alpha"]
        assert kept.complaint == ""
        honest.close()
        bodies = bodies_of(tmp_path)
        grown = [*bodies[:-3], *({"verb": "forged", "bytes": number} for number in range(9))]
        resealed(tmp_path, grown, head_too=True)
        forger = Logged(tmp_path)
        counted = EGRESS_COMPLAINTS.labels("alpha")._value.get()
        link = forger.dial(scene)
        await eventually(lambda: link.connected)
        await eventually(lambda: f"another record {kept.head.sequence} than before" in caplog.text)
        assert EGRESS_COMPLAINTS.labels("alpha")._value.get() == counted + 1
        await scene.kill()
        await eventually(lambda: scene.enrolment.heads["alpha"].complaint != "")
        assert scene.enrolment.heads["alpha"].head == kept.head, "what it says now is not kept"
        forger.close()
        assert verify(forger.folder, forger.head_file).problem == "", "in itself it is whole"


async def test_a_heartbeat_says_the_head_and_a_cut_tail_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_scene(tmp_path, Quick) as scene:
        first = Logged(tmp_path)
        link = first.dial(scene)
        await eventually(lambda: link.connected)
        for _ in range(3):
            await scene.ask()
        verbs = [record["verb"] for record in records(first.folder)]
        assert verbs.count("catalogue.search") == 3
        assert "link.hello" in verbs
        before = first.recorder.head
        known = scene.hub._heads._known
        await eventually(lambda: "alpha" in known and known["alpha"].highest.sequence == before.sequence)
        await scene.kill()
        await eventually(lambda: "alpha" in scene.enrolment.heads)
        kept = scene.enrolment.heads["alpha"]
        assert str(kept.head) == str(before)
        assert kept.complaint == ""
        first.close()
        assert verify(first.folder, first.head_file, Head.parse(str(kept.head))).problem == ""

        shutil.rmtree(first.folder)  # somebody begins it anew, its own head included
        first.head_file.unlink()
        second = Logged(tmp_path)
        link = second.dial(scene)
        await eventually(lambda: link.connected)
        await eventually(lambda: "went back from record" in caplog.text)
        await scene.kill()
        await eventually(lambda: scene.enrolment.heads["alpha"].complaint != "")
        second.close()
        assert verify(second.folder, second.head_file).problem == "", "in itself it is whole"
        assert "cut off" in verify(second.folder, second.head_file, Head.parse(str(kept.head))).problem


def hashed(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def slug(database: None) -> str:
    return "egress-" + "".join(c for c in token().lower() if c.isalnum())[:8]


async def keep(slug: str, sequence: int, number: int, *, shown: bool = True) -> HeadNews:
    """What is kept after a head is said by an agent that has shown the kept one, or has not."""
    since = await in_database(heads.kept)(slug) if shown else None
    kept = await in_database(heads.keep)({slug: HeadNews(EgressHead(sequence, hashed(number)), since=since)})
    return kept[slug]


async def test_the_centre_keeps_the_highest_head_and_the_first_contradiction(slug: str) -> None:
    assert await keep(slug, 5, 1) == HeadNews(EgressHead(5, hashed(1)))
    assert (await keep(slug, 9, 2)).head == EgressHead(9, hashed(2))
    assert (await keep(slug, 9, 2)).complaint == ""
    cut = await keep(slug, 8, 3)
    assert cut.head == EgressHead(9, hashed(2)), "the highest stays"
    assert "went back from record 9 to 8" in cut.complaint
    later = await keep(slug, 12, 4)
    assert "went back from record 9 to 8" in later.complaint, "growing past it does not heal it"
    assert "went back from record 9 to 8" in (await keep(slug, 1, 5)).complaint
    assert await in_database(heads.accept)(slug)
    assert not await in_database(heads.accept)(slug)
    assert (await keep(slug, 2, 6)).complaint == ""


async def test_a_head_that_does_not_follow_the_kept_one_is_not_kept(slug: str) -> None:
    """Another hub may have kept one meanwhile: then that is what the agent must show."""
    await keep(slug, 5, 1)
    assert await keep(slug, 9, 2, shown=False) == HeadNews(EgressHead(5, hashed(1)))
    late = HeadNews(EgressHead(8, hashed(3)), since=EgressHead(4, hashed(0)))
    assert (await in_database(heads.keep)({slug: late}))[slug] == HeadNews(EgressHead(5, hashed(1)))
    assert (await in_database(heads.kept)(slug), await in_database(heads.kept)(f"{slug}-none")) == (
        EgressHead(5, hashed(1)),
        EgressHead(),
    )
    assert (await keep(slug, 9, 2)).head == EgressHead(9, hashed(2))


async def test_the_last_record_alone_changed_shows(slug: str) -> None:
    await keep(slug, 5, 1)
    assert "another record 5" in (await keep(slug, 5, 2)).complaint


async def test_agents_shows_records_and_the_contradiction(
    slug: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = FEDERATION.facilities[0].model_copy(update={"id": slug})
    federation = FEDERATION.model_copy(update={"facilities": (table,)})
    monkeypatch.setattr(agents, "federation", lambda: federation)
    await keep(slug, 7, 1)
    mine = {each["facility"]: each for each in await in_database(listed)(federation)}[slug]
    assert (mine["records"], mine["egress_head"], mine["egress_complaint"]) == (7, f"7:{hashed(1)}", None)
    await keep(slug, 6, 2)
    assert await in_database(lambda: agents.show(as_json=False))() == 1
    shown = capsys.readouterr().out
    assert f"{slug}: its egress log went back from record 7 to 6." in shown
    assert await in_database(agents.show_heads)() == 0
    assert f"{slug} 7:{hashed(1)}" in capsys.readouterr().out
    assert await in_database(agents.accept_head)(slug) == 0
