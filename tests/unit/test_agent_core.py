"""Commands, catalogue and offers at the agent: a refusal is an answer, and nothing of the site leaves in one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facility_agent.core.commands import Events
from facility_agent.ports.catalogue import Reader
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Changes, Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import PUBLIC, SCOPE_OF, GetChanges, GetDataset, GetFiles, Redeem, Redeemed, Verb
from shared.facilities import Outcome
from shared.wire import proof
from shared.wire.commands import encode_answer
from tests.facility_scene import FacilityScene, refused


async def test_a_code_is_redeemed_over_the_link_without_a_grant(at: FacilityScene) -> None:
    await at.link()
    redeem, secret = await at.code()
    answer = await at.send(at.body(Verb.REDEEM, redeem))
    assert isinstance(answer.payload, Redeemed)
    assert answer.payload.agent_now_ms == int(at.now * 1000)
    body = at.body(Verb.SEARCH, SearchQuery())
    assert (await at.send(body, answer.payload.grant_id, proof.mac(secret, body))).outcome is Outcome.OK
    wire = encode_answer(1, Verb.REDEEM, answer).SerializeToString()
    assert secret not in wire
    refused(await at.send(at.body(Verb.REDEEM, redeem)), "SIGN_IN_NEEDED")
    refused(await at.send(at.body(Verb.REDEEM, Redeem("0" * 64, "v" * 43), facility="beta")), "INVALID_REQUEST")


async def test_redeem_does_not_go_under_a_grant(at: FacilityScene) -> None:
    held = await at.ada()
    redeem, _ = await at.code()
    refused(await at.ask(held, Verb.REDEEM, redeem), "INVALID_REQUEST")
    assert (await at.send(at.body(Verb.REDEEM, redeem))).outcome is Outcome.OK, "the code was not used up"


async def test_a_dataset_is_got_by_those_who_may(at: FacilityScene) -> None:
    held = await at.ada()
    got = await at.ask(held, Verb.GET, GetDataset("d-1"))
    assert isinstance(got.payload, Dataset)
    assert (got.payload.pid, got.payload.is_open) == ("d-1", False)
    theirs = await at.ask(held, Verb.GET, GetDataset("d-3"))
    nothing = await at.ask(held, Verb.GET, GetDataset("d-none"))
    refused(theirs, "NOT_FOUND")
    assert theirs == nothing, "what one may not see does not exist"
    open_ = await at.send(at.body(Verb.GET, GetDataset("d-o")))
    assert isinstance(open_.payload, Dataset)
    page = await at.ask(held, Verb.PROPOSALS, ProposalQuery())
    assert isinstance(page.payload, ProposalPage)
    assert "P-open" in {p.pid for p in page.payload.proposals if p.is_open}
    stranger = await at.send(at.body(Verb.PROPOSALS, ProposalQuery()))
    assert isinstance(stranger.payload, ProposalPage)
    assert {p.pid for p in stranger.payload.proposals} == {"P-open"} < {p.pid for p in page.payload.proposals}
    own = await at.ask(held, Verb.PROPOSALS, ProposalQuery(own=True))
    assert isinstance(own.payload, ProposalPage)
    assert own.payload.proposals
    assert {p.pid for p in own.payload.proposals} == {p.pid for p in page.payload.proposals} - {"P-open"}
    of_nobody = await at.send(at.body(Verb.PROPOSALS, ProposalQuery(own=True)))
    assert of_nobody.payload == ProposalPage()
    assert isinstance((await at.ask(held, Verb.FILES, GetFiles("d-1"))).payload, FilePage)
    refused(await at.ask(held, Verb.FILES, GetFiles("d-3")), "NOT_FOUND")
    refused(await at.send(at.body(Verb.FILES, GetFiles("d-1"))), "NOT_FOUND")
    await at.feed.look()
    changes = await at.send(at.body(Verb.CHANGES, GetChanges()))
    assert isinstance(changes.payload, Changes)
    assert [d.pid for d in changes.payload.datasets] == ["d-o"]
    refused(await at.ask(held, Verb.CHANGES, GetChanges()), "INVALID_REQUEST")
    refused(await at.send(at.body(Verb.GET, GetDataset("d-1"))), "NOT_FOUND")


class Partly(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return replace(await super().search(query, reader), complete=False, note="Half of it.")


async def test_an_incomplete_page_is_partial(at: FacilityScene) -> None:
    held = await at.ada()
    at.core._catalogue._backend = Partly({"P-open"})
    answer = await at.search(held)
    assert answer.outcome is Outcome.PARTIAL
    assert isinstance(answer.payload, SearchPage)
    assert answer.payload.note == "Half of it."


class Faulty(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        raise RuntimeError("connection to db7.internal as ada_l failed: /var/lib/x")


async def test_a_fault_of_ours_is_a_reference_and_nothing_else(
    at: FacilityScene, caplog: pytest.LogCaptureFixture
) -> None:
    held = await at.ada()
    at.core._catalogue._backend = Faulty({"P-open"})
    answer = await at.search(held)
    refused(answer, "BACKEND_FAILED")
    assert answer.problem is not None
    assert answer.problem.metadata["reference"] in caplog.text
    wire = encode_answer(1, Verb.SEARCH, answer).SerializeToString()
    for private in (b"db7", b"ada", b"/var"):
        assert private not in wire


async def test_every_refusal_is_an_answer(at: FacilityScene) -> None:
    held = await at.ada()
    for body in (b"", b"\xff", at.body(Verb.SEARCH, SearchQuery())[:-3]):
        for grant_id, mac in (("", b""), ("x", b""), ("", b"x"), (held.grant_id, b"x"), ("%27; --", b"x" * 32)):
            answer = await at.send(body, grant_id, mac)
            assert answer.payload is None
            assert answer.problem is not None
            assert answer.problem.reason in ("SIGN_IN_NEEDED", "INVALID_REQUEST")
    assert at.machine.started == []


def test_every_verb_has_a_scope_or_a_reason_for_none() -> None:
    assert set(SCOPE_OF) == set(Verb)
    assert {verb for verb, scope in SCOPE_OF.items() if scope is None} == {Verb.REDEEM, Verb.RELEASE, Verb.CHANGES}
    assert Verb.LAUNCH not in PUBLIC
    assert Verb.STOP not in PUBLIC


async def test_events_reach_every_listener_until_it_leaves(at: FacilityScene) -> None:
    heard: list[Any] = []
    leave = at.core.subscribe(heard.append)
    await at.running(await at.ada())
    assert heard == at.told
    leave()
    leave()
    at.events.publish(at.describe())
    assert len(heard) == len(at.told) - 1


def test_a_listener_may_leave_while_it_is_told() -> None:
    events, heard = Events(), list[Any]()

    def once(event: Any) -> None:
        heard.append(event)
        events.listeners.discard(once)

    events.listeners |= {once, heard.append}
    events.publish("a")  # type: ignore[arg-type]
    events.publish("b")  # type: ignore[arg-type]
    assert sorted(heard) == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"environment": "x"}, "does not offer this environment"), ({"flavour": "large"}, "not offered in this size"),
     ({"lifetime_s": 4000}, "lives at most 1 hour here")],
)  # fmt: skip
async def test_what_is_not_offered_is_said_in_a_sentence(
    at: FacilityScene, changes: dict[str, Any], words: str
) -> None:
    held = await at.ada()
    _, answer = await at.launch(held, **changes)
    assert answer.problem is not None
    assert words in answer.problem.message
