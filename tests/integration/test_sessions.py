"""Sessions, sealed grants and visits on a real database, under a clock that the test moves."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from shared.commands import Answer, Done, Redeemed, Release, Stop, Verb
from shared.errors import SignInNeeded
from shared.facilities import Outcome
from shared.identity import LinkState, Scope, Subject
from shared.oidc import SignedOut
from shared.wire.commands import decode_body, encode_body
from shared.wire.proof import hashed, mac

pytestmark = pytest.mark.usefixtures("database")
SECRET = b"the-secret-that-browser-and-agent-share"[:32]
NOW = float(int(time.time()))


class Desk:
    """Identity with its clock, and agents that answer as they are told."""

    def __init__(self) -> None:
        from central_portal.identity.services import COOKIE, Identity
        from central_portal.identity.watch import SessionWatch
        from central_portal.link.wakes_memory import MemoryWakes
        from tests.integration.portal import Agents

        self.now, self.cookie_name = NOW, COOKIE
        self.agents = Agents()
        watch = SessionWatch(MemoryWakes(), lambda: self.now)
        self.identity = Identity(self.agents, encode_body, 3600.0, watch, lambda: self.now)
        self.sub, self.sid = f"ada-{uuid.uuid4()}", f"sid-{uuid.uuid4()}"

    @property
    def subject(self) -> Subject:
        return Subject("http://op", self.sub)

    async def sign_in(self, old: str = "", sub: str = "", sid: str = "") -> str:
        subject = Subject("http://op", sub or self.sub)
        return await self.identity.sign_in(old, subject, "Ada", "op", sid or self.sid, "the-id-token")

    async def caller(self, cookie: str) -> Any:
        return await self.identity.caller({self.cookie_name: cookie})

    async def grant(self, cookie: str, facility: str = "alpha", **changes: Any) -> str:
        grant_id = changes.get("grant_id", str(uuid.uuid4()))
        scopes, life = changes.get("scopes", (Scope.READ, Scope.RUN)), changes.get("life_ms", 600_000)
        redeemed = Redeemed(grant_id, scopes, life, changes.get("agent_now_ms", int(self.now * 1000)))
        assert await self.identity.keep_grant(await self.caller(cookie), facility, redeemed, SECRET)
        return grant_id

    async def facilities(self, cookie: str) -> set[str]:
        """Where this cookie's session can act."""
        caller = await self.caller(cookie)
        if caller is None:
            return set()
        links = await self.identity.account_links(caller)
        return {facility for facility, info in links.items() if Scope.READ in info.scopes}

    async def ask(self, cookie: str, verb: Verb = Verb.RELEASE, parameters: Any = None) -> Answer:
        caller = await self.caller(cookie)
        return await self.identity.ask(caller, "alpha", verb, parameters or Release(), timeout_s=2.0)

    def agent_says(self, answer: Answer) -> list[tuple[Any, Any]]:
        """Alpha's agent answers so; what it was asked is kept."""
        heard: list[tuple[Any, Any]] = []

        async def reply(command: Any, sealed: Any) -> Answer:
            heard.append((command, sealed))
            return answer

        self.agents.replies["alpha"] = reply
        return heard


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rows(database: Path) -> list[Any]:
    """Every value of every table."""
    with sqlite3.connect(database / "centre.sqlite3") as db:
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        return [value for table in tables for row in db.execute(f"select * from {table}") for value in row]


async def test_a_session_is_found_by_its_cookie_alone(desk: Desk, database: Path) -> None:
    cookie = await desk.sign_in()
    caller = await desk.caller(cookie)
    assert caller.subject == desk.subject
    for wrong in ("", hashed(cookie), cookie[:-1], cookie + "x", "x" * 5000):
        assert await desk.caller(wrong) is None
    assert caller.seal_key.hex() not in repr(caller)
    assert str(caller.seal_key) not in repr(caller)
    assert "seal_key" not in repr(caller)


async def test_no_row_holds_a_secret(desk: Desk, database: Path) -> None:
    cookie = await desk.sign_in()
    await desk.grant(cookie)
    seal_key = (await desk.caller(cookie)).seal_key
    stored = b"\0".join(v if isinstance(v, bytes) else str(v).encode() for v in rows(database))
    assert hashed(cookie).encode() in stored
    for secret in (cookie.encode(), SECRET, seal_key, seal_key.hex().encode(), b"the-id-token"):
        assert secret not in stored


async def test_a_session_ends_at_its_time(desk: Desk) -> None:
    cookie = await desk.sign_in()
    caller = await desk.caller(cookie)
    desk.now += 3599
    assert await desk.caller(cookie) is not None
    desk.now += 2
    assert await desk.caller(cookie) is None
    assert await desk.identity.refresh(caller) is None
    assert await desk.identity.renew(cookie) is None


async def test_renewal_moves_everything_and_the_old_cookie_has_ten_seconds(desk: Desk) -> None:
    old = await desk.sign_in()
    await desk.grant(old)
    new = await desk.identity.renew(old)
    assert new is not None
    assert await desk.facilities(old) == await desk.facilities(new) == {"alpha"}
    assert await desk.identity.id_token(await desk.caller(new)) == "the-id-token"
    heard = desk.agent_says(Answer(Outcome.OK))
    for cookie in (old, new):
        await desk.ask(cookie)
    assert [sealed.mac == mac(SECRET, sealed.body) for _, sealed in heard] == [True, True]
    assert await desk.identity.renew(old) is None, "a session is renewed once"
    desk.now += 11
    assert await desk.caller(old) is None
    assert await desk.facilities(new) == {"alpha"}


async def test_of_many_renewals_at_once_one_wins(desk: Desk) -> None:
    old = await desk.sign_in()
    await desk.grant(old)
    made = await asyncio.gather(*(desk.identity.renew(old) for _ in range(6)))
    (new,) = [cookie for cookie in made if cookie]
    assert await desk.facilities(new) == {"alpha"}


@pytest.mark.parametrize("sid", ["", None])
@pytest.mark.parametrize("by", ["old", "new"])
async def test_signing_out_with_either_cookie_ends_both(desk: Desk, by: str, sid: str | None) -> None:
    if sid == "":
        desk.sid = ""  # a provider without sessions
    old = await desk.sign_in()
    await desk.grant(old)
    new = await desk.identity.renew(old) or ""
    await desk.identity.end(await desk.caller(old if by == "old" else new))
    assert await desk.caller(old) is None
    assert await desk.caller(new) is None
    assert await desk.identity.renew(new) is None


async def test_another_person_on_the_same_browser_inherits_nothing(desk: Desk) -> None:
    first = await desk.sign_in()
    await desk.grant(first)
    renewed = await desk.identity.renew(first) or ""
    second = await desk.sign_in(renewed, sub=f"ben-{uuid.uuid4()}", sid="sid-ben")
    assert await desk.facilities(second) == set()
    assert await desk.caller(renewed) is None
    assert await desk.caller(first) is None, "nor does the grace outlive it"


async def test_the_same_person_again_keeps_the_grants(desk: Desk) -> None:
    first = await desk.sign_in()
    await desk.grant(first)
    second = await desk.sign_in(first, sid="another-sid")
    assert await desk.facilities(second) == {"alpha"}
    third = await desk.sign_in(first, sid="a-third-sid")
    assert await desk.facilities(third) == set(), "a replaced cookie moves nothing"


async def test_grants_of_an_expired_session_do_not_come_back(desk: Desk) -> None:
    first = await desk.sign_in()
    await desk.grant(first, life_ms=90_000_000)
    desk.now += 3601
    assert await desk.facilities(await desk.sign_in(first)) == set()


async def test_a_sign_in_under_way_cannot_revive_an_ended_session(desk: Desk, database: Path) -> None:
    await desk.identity.ended_at_provider("op", SignedOut("http://op", desk.sub, desk.sid, "j"))
    with pytest.raises(SignInNeeded):
        await desk.sign_in()
    assert desk.sub not in rows(database), "no session, not even a person"
    desk.now += 601
    assert await desk.caller(await desk.sign_in()) is not None


async def test_a_provider_ends_one_session_or_all_of_a_subject(desk: Desk) -> None:
    one, two = await desk.sign_in(sid="s1" + desk.sid), await desk.sign_in(sid="s2" + desk.sid)
    stranger = await desk.sign_in(sub=f"ben-{uuid.uuid4()}", sid="s3" + desk.sid)
    await desk.identity.ended_at_provider("another-op", SignedOut("http://op", "", "s1" + desk.sid, "j"))
    assert await desk.caller(one) is not None, "another provider's word counts for its own sessions alone"
    await desk.identity.ended_at_provider("op", SignedOut("http://op", desk.sub, "s1" + desk.sid, "j"))
    assert await desk.caller(one) is None
    assert await desk.caller(two) is not None
    await desk.identity.ended_at_provider("op", SignedOut("http://op", desk.sub, "", "j"))
    assert await desk.caller(two) is None
    assert await desk.caller(stranger) is not None


async def test_whoever_listens_hears_the_end_once(desk: Desk) -> None:
    cookie, heard = await desk.sign_in(), []
    session = (await desk.caller(cookie)).session_hash
    desk.identity.on_session_end(session, lambda: heard.append("socket"))
    desk.identity.on_session_end(session, lambda: heard.append("gone"))()
    await desk.identity.renew(cookie)
    assert heard == ["socket"]
    await desk.identity.end(await desk.caller(cookie))
    assert heard == ["socket"]
    again = await desk.sign_in(sid="t" + desk.sid)
    desk.identity.on_session_end((await desk.caller(again)).session_hash, lambda: heard.append("provider"))
    await desk.identity.ended_at_provider("op", SignedOut("http://op", desk.sub, "", "j"))
    assert heard == ["socket", "provider"]


async def test_a_grant_that_arrives_after_the_end_is_not_kept(desk: Desk, database: Path) -> None:
    cookie = await desk.sign_in()
    caller = await desk.caller(cookie)
    late = Redeemed("late-grant", (Scope.READ,), 1000, 1)
    renewed = await desk.identity.renew(cookie)
    assert not await desk.identity.keep_grant(caller, "alpha", late, SECRET), "sealed under a cookie that is gone"
    await desk.identity.end(await desk.caller(renewed or ""))
    assert not await desk.identity.keep_grant(caller, "alpha", late, SECRET)
    assert "late-grant" not in rows(database)


@pytest.mark.parametrize("agent_ahead_s", [-86_400, 0, 3600])
async def test_a_command_goes_under_the_grant_and_expires_by_the_agents_clock(
    desk: Desk, agent_ahead_s: int
) -> None:
    cookie = await desk.sign_in()
    grant_id = await desk.grant(cookie, agent_now_ms=int((desk.now + agent_ahead_s) * 1000))
    desk.now += 100
    heard = desk.agent_says(Answer(Outcome.OK))
    await desk.ask(cookie, Verb.STOP, Stop("11111111-2222-4333-8444-555555555555"))
    ((command, sealed),) = heard
    assert sealed.grant_id == grant_id
    assert sealed.mac == mac(SECRET, sealed.body)
    assert decode_body(sealed.body) == command
    assert (command.facility_id, command.verb) == ("alpha", Verb.STOP)
    ahead = command.expires_ms / 1000 - (desk.now + agent_ahead_s)
    assert 30 <= ahead <= 33
    assert desk.sub.encode() not in sealed.body, "no command names a person"


async def test_without_a_grant_nothing_personal_is_asked(desk: Desk) -> None:
    heard = desk.agent_says(Answer(Outcome.OK))
    cookie = await desk.sign_in()
    for asker in (cookie, ""):
        with pytest.raises(SignInNeeded):
            await desk.ask(asker)
    await desk.grant(cookie, scopes=(Scope.READ,))
    with pytest.raises(SignInNeeded):
        await desk.ask(cookie, Verb.STOP, Stop("11111111-2222-4333-8444-555555555555"))
    await desk.grant(cookie, life_ms=5000)
    desk.now += 6
    with pytest.raises(SignInNeeded):
        await desk.ask(cookie)
    assert heard == []


async def test_a_box_moved_to_another_session_or_facility_does_not_open(desk: Desk, database: Path) -> None:
    heard = desk.agent_says(Answer(Outcome.OK))
    victim, thief = await desk.sign_in(), await desk.sign_in(sub=f"eve-{uuid.uuid4()}", sid="eve")
    stolen = await desk.grant(victim)
    with sqlite3.connect(database / "centre.sqlite3") as db:
        db.execute(
            "update identity_sealedgrant set session_id = ? where grant_id = ?",
            ((await desk.caller(thief)).session_hash, stolen),
        )
    with pytest.raises(SignInNeeded):
        await desk.ask(thief)
    moved = await desk.grant(victim, "beta")
    with sqlite3.connect(database / "centre.sqlite3") as db:
        db.execute("update identity_sealedgrant set facility = 'alpha' where grant_id = ?", (moved,))
    with pytest.raises(SignInNeeded):
        await desk.ask(victim)
    assert heard == []


@pytest.mark.parametrize("outcome", [Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED])
async def test_a_grant_that_the_agent_calls_dead_is_forgotten(desk: Desk, outcome: Outcome) -> None:
    cookie = await desk.sign_in()
    await desk.grant(cookie)
    desk.agent_says(Answer(outcome))
    assert (await desk.ask(cookie)).outcome is outcome
    assert await desk.facilities(cookie) == set()
    state = (await desk.identity.account_links(await desk.caller(cookie)))["alpha"].state
    assert state is (LinkState.NOT_LINKED if outcome is Outcome.NOT_LINKED else LinkState.LINKED)


async def test_a_denial_keeps_the_grant(desk: Desk) -> None:
    cookie = await desk.sign_in()
    await desk.grant(cookie)
    desk.agent_says(Answer(Outcome.DENIED))
    await desk.ask(cookie)
    assert await desk.facilities(cookie) == {"alpha"}


async def test_unlinking_forgets_the_grants_of_every_session_there(desk: Desk) -> None:
    laptop, desktop = await desk.sign_in(sid="l" + desk.sid), await desk.sign_in(sid="d" + desk.sid)
    for cookie in (laptop, desktop):
        await desk.grant(cookie, "alpha")
        await desk.grant(cookie, "beta")
    from central_portal.database import in_database
    from central_portal.link.ports import OrderStanding, OrderState
    from central_portal.workspaces.settling import mean

    caller = await desk.caller(laptop)
    unlinked = OrderStanding(str(uuid.uuid4()), Verb.UNLINK, OrderState.SENT, person=caller.person_id)
    await in_database(mean)("alpha", unlinked, Answer(Outcome.OK, Done()), desk.now)
    assert await desk.facilities(laptop) == await desk.facilities(desktop) == {"beta"}
    links = await desk.identity.account_links(await desk.caller(desktop))
    assert (links["alpha"].state, links["alpha"].grant_expires_at) == (LinkState.NOT_LINKED, None)
    assert links["beta"].scopes == {Scope.READ, Scope.RUN}


async def test_releases_are_made_under_each_grant(desk: Desk) -> None:
    cookie = await desk.sign_in()
    ids = {await desk.grant(cookie, "alpha"), await desk.grant(cookie, "beta")}
    made = await desk.identity.releases(await desk.caller(cookie))
    assert {facility for facility, _ in made} == {"alpha", "beta"}
    assert {body.grant_id for _, body in made} == ids
    for facility, body in made:
        command = decode_body(body.body)
        assert (command.facility_id, command.verb) == (facility, Verb.RELEASE)
        assert body.mac == mac(SECRET, body.body)


async def test_a_visit_ends_once_and_in_its_own_session(desk: Desk) -> None:
    cookie = await desk.sign_in()
    caller, stranger = await desk.caller(cookie), await desk.caller(await desk.sign_in(sid="x" + desk.sid))
    state = str(uuid.uuid4())
    await desk.identity.begin_visit(caller, state, "alpha", "/search")
    assert await desk.identity.end_visit(stranger, state) is None
    assert await desk.identity.end_visit(caller, "another") is None
    renewed = await desk.caller(await desk.identity.renew(cookie) or "")
    assert await desk.identity.end_visit(renewed, state) == ("alpha", "/search"), "it moves with the session"
    assert await desk.identity.end_visit(renewed, state) is None


async def test_a_visit_has_ten_minutes(desk: Desk) -> None:
    caller = await desk.caller(await desk.sign_in())
    state = str(uuid.uuid4())
    await desk.identity.begin_visit(caller, state, "alpha", "/")
    desk.now += 601
    assert await desk.identity.end_visit(caller, state) is None
