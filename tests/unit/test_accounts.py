"""Account links: one pair at a time, given back to the same person only, and never to an account that has changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from facility_agent.ports.doorkeeper import LocalIdentity
from facility_agent.testing.accounts_world import Person
from shared.catalogue import SearchPage
from shared.commands import Stop, Verb
from shared.errors import AccessDenied, BackendUnavailable, Conflict, IdentityRefused, NotFound
from shared.facilities import Outcome
from shared.identity import Subject
from shared.workspaces import WorkspaceReport, WorkspaceState
from tests.facility_scene import ADA, BEN, FacilityScene, refused

RIGHT = Person().password


async def test_a_person_links_the_account_whose_password_they_know(at: FacilityScene) -> None:
    identity = await at.accounts.check_password("ada", RIGHT)
    assert identity == LocalIdentity("ada", "id-1", "Ada L.")
    info = await at.accounts.link(ADA, identity)
    assert await at.accounts.link_of(ADA) == info
    assert await at.accounts.link_of(BEN) is None
    assert await at.accounts.link_of(Subject("https://another-issuer", ADA.sub)) is None


async def test_a_wrong_password_gives_no_identity(at: FacilityScene) -> None:
    with pytest.raises(AccessDenied):
        await at.accounts.check_password("ada", "wrong")
    assert at.rows()["link"] == []


@pytest.mark.parametrize(
    ("change", "error"),
    [({"uid": 0}, IdentityRefused), ({"uid": None}, IdentityRefused), ({"gid": 0}, IdentityRefused),
     ({"groups": (4002, 0)}, IdentityRefused), ({"home": None}, IdentityRefused), ({"enabled": False}, AccessDenied)],
    ids=str,
)  # fmt: skip
async def test_an_unusable_account_gives_no_identity(
    at: FacilityScene, change: dict[str, Any], error: type[Exception]
) -> None:
    at.people.put(replace(Person(), **change))
    with pytest.raises(error):
        await at.accounts.check_password("ada", RIGHT)
    with pytest.raises((error, NotFound)):
        await at.accounts.identity("ada")


async def test_the_rules_may_keep_an_account_out(at: FacilityScene) -> None:
    class Nobody(type(at.people)):  # type: ignore[misc]
        async def may_use(self, account: Any) -> bool:
            return False

    held = await at.ada()
    at.accounts.rules = Nobody()
    with pytest.raises(AccessDenied):
        await at.accounts.check_password("ada", RIGHT)
    refused(await at.search(held), "ACCESS_DENIED")


async def test_linking_the_same_pair_twice_changes_nothing(at: FacilityScene) -> None:
    held = await at.ada()
    before = at.rows()
    await at.link()
    assert at.rows() == before
    assert (await at.search(held)).outcome is Outcome.OK


async def test_an_account_that_is_taken_is_not_linked(at: FacilityScene) -> None:
    await at.link()
    before = at.rows()
    with pytest.raises(Conflict):
        await at.link(BEN, "ada")
    assert at.rows() == before
    assert await at.accounts.link_of(BEN) is None


async def test_a_second_account_is_not_linked_before_the_first_is_unlinked(at: FacilityScene) -> None:
    await at.link()
    before = at.rows()
    with pytest.raises(Conflict):
        await at.link(ADA, "ben")
    assert at.rows() == before
    await at.unlink(ADA)
    await at.link(ADA, "ben")
    info = await at.accounts.link_of(ADA)
    assert info is not None
    assert info.identity.username == "ben"


async def test_two_people_who_link_one_account_at_once_do_not_both_get_it(at: FacilityScene) -> None:
    answers = await asyncio.gather(
        *(at.link(Subject("op", f"s{n}"), "ada") for n in range(6)), return_exceptions=True
    )
    assert sorted(map(type, answers), key=str) == sorted([type(None), *[Conflict] * 5], key=str)
    assert len(at.rows()["link"]) == 1


async def test_a_generation_only_rises(at: FacilityScene) -> None:
    seen = []
    for subject in (ADA, ADA, BEN, ADA, BEN):
        await at.link(subject, "ada")
        info = await at.accounts.link_of(subject)
        assert info is not None
        seen.append(info.generation)
        await at.unlink(subject)
    assert seen == sorted(set(seen)), "and never repeats, whoever holds the account"


async def test_unlinking_takes_everything_with_it_and_leaves_other_people_alone(at: FacilityScene) -> None:
    held, ben = await at.ada(), await at.ben()
    await at.code()
    await at.doorkeeper.consent(ADA, held.grant.scopes and frozenset(held.grant.scopes))
    before = at.rows()
    await at.unlink(ADA)
    after = at.rows()
    assert [len(after[t]) for t in ("grant_", "code")] == [1, 0]
    assert await at.doorkeeper.consent_of(ADA) == frozenset()
    assert (await at.search(ben)).outcome is Outcome.OK
    refused(await at.search(held), "SIGN_IN_NEEDED")
    await at.unlink(ADA)
    await at.unlink(Subject("op", "nobody"))
    assert before["link"] != after["link"]


async def test_workspaces_outlive_the_link_and_come_back_to_the_same_pair(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await at.unlink(ADA)
    assert at.machine.running(workspace_id) == 1
    assert not (await at.doorkeeper.visit(workspace_id, ADA)).allowed
    await at.link()
    door = await at.doorkeeper.visit(workspace_id, ADA)
    assert door.allowed
    assert door.endpoint is not None
    again = await at.held()
    answer = await at.ask(again, Verb.STOP, Stop(workspace_id))
    assert isinstance(answer.payload, WorkspaceReport)
    await at.until(workspace_id, WorkspaceState.ENDED)


async def test_workspaces_never_come_to_another_person_or_another_account(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    await at.unlink(ADA)
    await at.link(BEN, "ada")  # the same account, another person
    ben = await at.held(BEN, "sid-2")
    assert not (await at.doorkeeper.visit(workspace_id, BEN)).allowed
    refused(await at.ask(ben, Verb.STOP, Stop(workspace_id)), "NOT_FOUND")
    await at.unlink(BEN)
    await at.link(ADA, "ben")  # the same person, another account
    ada = await at.held()
    door = await at.doorkeeper.visit(workspace_id, ADA)
    assert (door.allowed, door.endpoint, door.title) == (False, None, "")
    refused(await at.ask(ada, Verb.STOP, Stop(workspace_id)), "NOT_FOUND")
    assert at.machine.running(workspace_id) == 1


async def test_a_username_that_went_to_somebody_else_is_refused(at: FacilityScene) -> None:
    held = await at.ada()
    at.people.remove("ada")
    at.people.put(Person(immutable_id="id-of-another-ada"))
    refused(await at.search(held), "IDENTITY_REFUSED")
    assert await at.accounts.link_of(ADA) is None
    assert at.machine.started == []


async def test_an_account_that_is_gone_is_not_linked_any_more(at: FacilityScene) -> None:
    held = await at.ada()
    at.people.remove("ada")
    refused(await at.search(held), "ACCOUNT_NOT_LINKED")
    assert await at.accounts.link_of(ADA) is None


async def test_an_outage_of_the_directory_unlinks_nobody(at: FacilityScene) -> None:
    held = await at.ada()
    before = at.rows()
    at.people.down = True
    refused(await at.search(held), "BACKEND_UNAVAILABLE")
    with pytest.raises(BackendUnavailable):
        await at.accounts.link_of(ADA)
    at.people.down = False
    assert await at.accounts.link_of(ADA) is not None
    assert {k: v for k, v in at.rows().items() if k != "seen"} == {k: v for k, v in before.items() if k != "seen"}


async def test_what_is_taken_from_an_account_is_gone_at_once(at: FacilityScene) -> None:
    held = await at.ada()
    at.people.put(Person(proposals=("P-2",)))
    answer = await at.search(held)
    assert isinstance(answer.payload, SearchPage)
    assert {d.pid for d in answer.payload.datasets} == {"d-2", "d-o"}
