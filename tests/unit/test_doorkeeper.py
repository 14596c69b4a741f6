"""What the agent decides for its gateway: sessions, ways into workspaces, sign-out, and what is revoked when."""

from __future__ import annotations

import asyncio

import pytest

from facility_agent.core.doorkeeper import WATCHERS_QUEUE, Revocations
from facility_agent.ports.doorkeeper import GatewaySession, Revocation
from facility_agent.testing.accounts_world import Person
from shared.commands import Stop, Unlink, Verb
from shared.errors import AccessDenied, CodeNotValid, NotFound, SignInNeeded
from shared.identity import Scope, Subject
from shared.limits import LIMITS
from shared.workspaces import WorkspaceState
from tests.facility_scene import ADA, BEN, FacilityScene

NOBODYS = "11111111-2222-4333-8444-555555555555"


async def enter(
    at: FacilityScene, workspace_id: str, subject: Subject = ADA, sid: str = "sid-1", cookie: str = "cookie"
) -> None:
    """From the gateway with a code into the workspace's origin."""
    await at.doorkeeper.invite(workspace_id, subject, sid, "state", "code")
    await at.doorkeeper.admit(workspace_id, "code", "state", cookie)


# --- sessions of browsers at the gateway


async def test_a_session_is_found_under_its_newest_cookie_only(at: FacilityScene) -> None:
    first = GatewaySession(None, "", {"return": "/a"})
    await at.doorkeeper.renew_session("", "one", first)
    assert await at.doorkeeper.session("one") == first
    second = GatewaySession(ADA, "sid-1", {"return": "/b"})
    await at.doorkeeper.renew_session("one", "two", second)
    assert await at.doorkeeper.session("one") is None
    assert await at.doorkeeper.session("two") == second
    await at.doorkeeper.end_session("two")
    await at.doorkeeper.end_session("two")
    assert await at.doorkeeper.session("two") is None
    assert at.rows()["session"] == []


async def test_a_session_lives_for_twelve_hours(at: FacilityScene) -> None:
    await at.doorkeeper.renew_session("", "one", GatewaySession(ADA, "sid-1"))
    at.now += 12 * 3600
    assert await at.doorkeeper.session("one") is not None
    at.now += 1
    assert await at.doorkeeper.session("one") is None


async def test_a_sign_in_under_way_does_not_revive_what_was_signed_out(at: FacilityScene) -> None:
    await at.doorkeeper.renew_session("", "one", GatewaySession(None, ""))
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1")
    before = at.rows()
    with pytest.raises(SignInNeeded):
        await at.doorkeeper.renew_session("one", "two", GatewaySession(ADA, "sid-1"))
    assert at.rows() == before
    at.now += LIMITS.sid_memory + 1
    await at.doorkeeper.renew_session("one", "two", GatewaySession(ADA, "sid-1"))


async def test_a_provider_ends_only_its_own_sign_ins(at: FacilityScene) -> None:
    await at.doorkeeper.renew_session("", "one", GatewaySession(ADA, "sid-1"))
    for issuer, sub, sid in (
        ("https://another", ADA.sub, "sid-1"),
        (ADA.issuer, ADA.sub, "sid-2"),
        (ADA.issuer, BEN.sub, ""),
    ):
        await at.doorkeeper.signed_out(issuer, sub, sid)
    assert await at.doorkeeper.session("one") is not None
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "")
    assert await at.doorkeeper.session("one") is None


async def test_consent_is_kept_per_scope_and_person(at: FacilityScene) -> None:
    assert await at.doorkeeper.consent_of(ADA) == frozenset()
    await at.doorkeeper.consent(ADA, frozenset({Scope.READ}))
    await at.doorkeeper.consent(ADA, frozenset({Scope.RUN}))
    assert await at.doorkeeper.consent_of(ADA) == {Scope.READ, Scope.RUN}
    assert await at.doorkeeper.consent_of(BEN) == frozenset()


# --- ways into workspaces


async def test_the_owner_enters_and_nobody_else(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    await at.ben()
    await enter(at, workspace_id)
    door = await at.doorkeeper.pass_of(workspace_id, "cookie")
    assert door is not None
    assert (door.allowed, door.title, door.state) == (True, "Mine", "RUNNING")
    assert door.endpoint is not None
    theirs = await at.doorkeeper.visit(workspace_id, BEN)
    assert (theirs.allowed, theirs.title, theirs.endpoint) == (False, "", None)
    before = at.rows()
    for subject in (BEN, Subject(ADA.issuer, "nobody"), Subject("https://another", ADA.sub)):
        with pytest.raises(AccessDenied):
            await at.doorkeeper.invite(workspace_id, subject, "sid-2", "state", "code-2")
    assert at.rows() == before


@pytest.mark.parametrize("name", [NOBODYS, "", "..", "x" * 500, NOBODYS.upper(), "' or 1=1 --"])
async def test_a_workspace_that_nobody_knows(at: FacilityScene, name: str) -> None:
    await at.link()
    with pytest.raises(NotFound):
        await at.doorkeeper.visit(name, ADA)
    with pytest.raises(NotFound):
        await at.doorkeeper.invite(name, ADA, "sid-1", "state", "code")
    assert await at.doorkeeper.pass_of(name, "cookie") is None


async def test_a_code_into_a_workspace_is_good_once_there_and_for_its_browser(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, sibling = await at.running(held), await at.running(held)
    for where, state, late in (
        (workspace_id, "another state", 0),
        (sibling, "state", 0),
        (workspace_id, "state", 31),
    ):
        await at.doorkeeper.invite(workspace_id, ADA, "sid-1", "state", "code")
        at.now += late
        with pytest.raises(CodeNotValid):
            await at.doorkeeper.admit(where, "code", state, "cookie")
        with pytest.raises(CodeNotValid):
            await at.doorkeeper.admit(workspace_id, "code", "state", "cookie")
    assert at.rows()["pass"] == []
    await enter(at, workspace_id)
    with pytest.raises(CodeNotValid):
        await at.doorkeeper.admit(workspace_id, "code", "state", "another cookie")
    assert len(at.rows()["pass"]) == 1


async def test_a_cookie_of_one_workspace_opens_no_other(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, sibling = await at.running(held), await at.running(held)
    await enter(at, workspace_id)
    assert await at.doorkeeper.pass_of(sibling, "cookie") is None
    assert await at.doorkeeper.pass_of(workspace_id, "another") is None
    at.now += 7 * 86_400 + 1
    assert await at.doorkeeper.pass_of(workspace_id, "cookie") is None


async def test_a_sign_out_shuts_the_way_in_and_the_code_on_its_way(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    await enter(at, workspace_id)
    await at.doorkeeper.invite(workspace_id, ADA, "sid-1", "state", "code-2")
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1")
    assert await at.doorkeeper.pass_of(workspace_id, "cookie") is None
    with pytest.raises((CodeNotValid, SignInNeeded)):
        await at.doorkeeper.admit(workspace_id, "code-2", "state", "cookie-2")
    with pytest.raises(SignInNeeded):
        await at.doorkeeper.invite(workspace_id, ADA, "sid-1", "state", "code-3")
    assert at.rows()["pass"] == []
    assert at.machine.running(workspace_id) == 1, "it runs on"


async def test_unlinking_shuts_the_way_in_and_linking_again_wants_a_new_one(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await enter(at, workspace_id)
    row = await at.store.transact(lambda tx: tx.pass_of("cookie"))
    assert row is not None
    await at.ask(held, Verb.UNLINK, Unlink())
    assert await at.doorkeeper.pass_of(workspace_id, "cookie") is None
    with pytest.raises(AccessDenied):
        await at.doorkeeper.invite(workspace_id, ADA, "sid-1", "state", "code-2")
    await at.link()
    await at.store.transact(lambda tx: tx.put_pass(row))  # as a backup of the store would bring it back
    assert await at.doorkeeper.pass_of(workspace_id, "cookie") is None
    await enter(at, workspace_id, cookie="new")
    door = await at.doorkeeper.pass_of(workspace_id, "new")
    assert door is not None
    assert door.allowed


async def test_what_has_ended_has_no_endpoint_and_what_is_unknown_keeps_it(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await enter(at, workspace_id)
    at.machine.down = True
    await at.workspaces.look()
    door = await at.doorkeeper.pass_of(workspace_id, "cookie")
    assert door is not None
    assert (door.state, door.endpoint is not None) == ("UNKNOWN", True), (
        "an outage of the scheduler cuts nobody off"
    )
    at.machine.down = False
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.until(workspace_id, WorkspaceState.ENDED)
    door = await at.doorkeeper.pass_of(workspace_id, "cookie")
    assert door is not None
    assert (door.allowed, door.state, door.endpoint) == (True, "ENDED", None)


async def test_a_restart_of_the_agent_cuts_nobody_off(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    await enter(at, workspace_id)
    await at.doorkeeper.renew_session("", "one", GatewaySession(ADA, "sid-1"))
    await at.reopen()
    door = await at.doorkeeper.pass_of(workspace_id, "cookie")
    assert door is not None
    assert door.endpoint is not None
    assert await at.doorkeeper.session("one") is not None


# --- passwords and links, as the gateway asks for them


async def test_the_gateway_learns_of_an_account_what_its_owner_may_see(at: FacilityScene) -> None:
    identity = await at.doorkeeper.check_password("ada", Person().password)
    assert await at.doorkeeper.local_identity("ada") == identity
    assert (await at.doorkeeper.link(ADA, identity)).identity == identity
    info = await at.doorkeeper.link_of(ADA)
    assert info is not None
    assert info.identity == identity


# --- revocations


async def heard(at: FacilityScene) -> tuple[list[Revocation], asyncio.Task[None]]:
    """What a gateway hears from now on."""
    said: list[Revocation] = []

    async def listen() -> None:
        async for revocation in at.doorkeeper.revocations():
            said.append(revocation)  # noqa: PERF401 (it never ends)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    return said, task


async def quiet(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_sign_out_and_an_unlink_name_the_cookies_that_they_ended(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await enter(at, workspace_id, cookie="one")
    await enter(at, workspace_id, sid="sid-2", cookie="two")
    said, task = await heard(at)
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1")
    await at.unlink(ADA)
    await asyncio.sleep(0)
    await quiet(task)
    assert said == [Revocation(session_hash="one"), Revocation(session_hash="two")]


async def test_a_change_of_a_workspace_is_told(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    said, task = await heard(at)
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.until(workspace_id, WorkspaceState.ENDED)
    await asyncio.sleep(0)
    await quiet(task)
    assert set(said) == {Revocation(workspace_id=workspace_id)}
    assert len(said) >= 2


async def test_a_gateway_that_does_not_keep_up_must_ask_for_everything_anew() -> None:
    revoked = Revocations()
    said: list[Revocation] = []
    slow = revoked.watch()
    quick = revoked.watch()
    first, other = asyncio.create_task(anext(slow)), asyncio.create_task(anext(quick))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    revoked.publish(Revocation("first"))
    assert await first == await other == Revocation("first")
    for n in range(WATCHERS_QUEUE + 5):
        revoked.publish(Revocation(f"{n}"))
        assert await anext(quick) == Revocation(f"{n}"), "it holds up nobody"
    while len(said) < 5:
        said.append(await anext(slow))
    assert said == [Revocation(), *(Revocation(f"{WATCHERS_QUEUE + n}") for n in range(1, 5))]
    await slow.aclose()  # type: ignore[attr-defined]
    await quick.aclose()  # type: ignore[attr-defined]
    assert not revoked._queues
