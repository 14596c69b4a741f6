"""Codes, grants and the proof that a command carries: every refusal, and that it changed nothing."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facility_agent.core.grants import Rates
from shared.catalogue import SearchPage, SearchQuery
from shared.commands import Done, Redeem, Release, Stop, Unlink, Verb
from shared.errors import AccountNotLinked, InvalidRequest, RateLimited, SignInNeeded
from shared.facilities import Outcome
from shared.identity import Scope, Subject
from shared.limits import LIMITS
from shared.wire import proof
from tests.facility_scene import ADA, BEN, BOTH, READ, FacilityScene, launch_request, open_facility, refused

WORKSPACE = "11111111-2222-4333-8444-555555555555"


# --- issuing


async def test_a_grant_reaches_what_its_account_may_read(at: FacilityScene) -> None:
    answer = await at.search(await at.ada())
    assert isinstance(answer.payload, SearchPage)
    assert {d.pid for d in answer.payload.datasets} == {"d-1", "d-2", "d-o"}
    await at.link(BEN, "ben")
    ben = await at.search(await at.held(BEN, "sid-2"))
    assert isinstance(ben.payload, SearchPage)
    assert {d.pid for d in ben.payload.datasets} == {"d-3", "d-o"}


async def test_no_code_without_an_account_link(at: FacilityScene) -> None:
    with pytest.raises(AccountNotLinked):
        await at.code()
    await at.link()
    await at.unlink(ADA)
    with pytest.raises(AccountNotLinked):
        await at.code()
    assert at.rows()["code"] == []


@pytest.mark.parametrize(
    ("challenge", "key", "scopes"),
    [("", "k" * 43, BOTH), ("c" * 42, "k" * 43, BOTH), ("c" * 43, "k" * 42, BOTH), ("c" * 43, "k" * 43, frozenset()),
     ("c" * 43, "!" * 43, BOTH), ("c" * 43, proof.b64(bytes(32)), BOTH), ("c" * 43, "A" * 42 + "é", BOTH)],
)  # fmt: skip
async def test_a_malformed_request_issues_nothing(
    at: FacilityScene, challenge: str, key: str, scopes: frozenset[Scope]
) -> None:
    await at.link()
    with pytest.raises(InvalidRequest):
        await at.grants.issue(ADA, "sid-1", scopes, challenge, key)
    assert at.rows()["code"] == []


async def test_a_sign_in_that_has_ended_gets_no_code(at: FacilityScene) -> None:
    await at.link()
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1")
    with pytest.raises(SignInNeeded):
        await at.code()
    at.now += LIMITS.sid_memory + 1
    await at.held()


# --- redeeming


async def test_a_code_is_good_once(at: FacilityScene) -> None:
    await at.link()
    redeem, _ = await at.code()
    await at.grants.redeem(redeem)
    before = at.rows()
    with pytest.raises(SignInNeeded):
        await at.grants.redeem(redeem)
    assert at.rows() == before


async def test_a_code_redeemed_many_times_at_once_makes_one_grant(at: FacilityScene) -> None:
    await at.link()
    redeem, _ = await at.code()
    answers = await asyncio.gather(*(at.grants.redeem(redeem) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(a, BaseException) for a in answers) == 1
    assert len(at.rows()["grant_"]) == 1


async def test_a_code_is_good_for_thirty_seconds(at: FacilityScene) -> None:
    await at.link()
    in_time, _ = await at.code()
    at.now += LIMITS.one_time_code
    await at.grants.redeem(in_time)
    late, _ = await at.code()
    at.now += LIMITS.one_time_code + 0.001
    with pytest.raises(SignInNeeded):
        await at.grants.redeem(late)
    assert len(at.rows()["grant_"]) == 1


async def test_a_wrong_verifier_uses_the_code_up(at: FacilityScene) -> None:
    await at.link()
    redeem, _ = await at.code()
    with pytest.raises(SignInNeeded):
        await at.grants.redeem(Redeem(redeem.code_hash, proof.token()))
    with pytest.raises(SignInNeeded):
        await at.grants.redeem(redeem)
    assert at.rows()["grant_"] == []


TRY = st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from([0.0, 0.0, 10.0, 31.0]))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TRY, max_size=10))
def test_however_codes_are_tried_each_makes_at_most_one_grant(tries: list[tuple[int, bool, float]]) -> None:
    """(which code, with its own verifier, seconds before): the first try decides, and only a right one in time wins."""

    async def play(folder: Path) -> None:
        async with open_facility(folder) as at:
            await at.link()
            codes = [(await at.code())[0] for _ in range(3)]
            begun, tried, granted = at.now, set[int](), 0
            for which, right, pause in tries:
                at.now += pause
                asked = codes[which] if right else Redeem(codes[which].code_hash, codes[which - 1].verifier)
                good = which not in tried and right and at.now <= begun + LIMITS.one_time_code
                tried.add(which)
                if good:
                    await at.grants.redeem(asked)
                    granted += 1
                else:
                    with pytest.raises(SignInNeeded):
                        await at.grants.redeem(asked)
            assert len(at.rows()["grant_"]) == granted

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


async def test_an_unknown_code_makes_no_grant(at: FacilityScene) -> None:
    await at.link()
    redeem, _ = await at.code()
    for wrong in (proof.hashed("another"), redeem.code_hash.upper(), redeem.code_hash[:-1], "", "' or 1=1 --"):
        with pytest.raises(SignInNeeded):
            await at.grants.redeem(Redeem(wrong, redeem.verifier))
    assert at.rows()["grant_"] == []


@pytest.mark.parametrize("sid", ["sid-1", ""])
async def test_a_sign_out_between_code_and_redeem_makes_no_grant(at: FacilityScene, sid: str) -> None:
    await at.link()
    redeem, _ = await at.code()
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, sid)
    with pytest.raises(SignInNeeded):
        await at.grants.redeem(redeem)
    assert at.rows()["grant_"] == []


@pytest.mark.parametrize("what", ["sign-out", "unlink"])
async def test_what_ends_while_a_code_is_being_redeemed_makes_no_grant(
    at: FacilityScene, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the transaction that takes the code and the one that stores the grant."""
    await at.link()
    redeem, _ = await at.code()
    transact = at.store.transact

    async def interrupted(work: Any) -> Any:
        taken = await transact(work)
        monkeypatch.setattr(at.store, "transact", transact)
        await (at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1") if what == "sign-out" else at.unlink(ADA))
        return taken

    monkeypatch.setattr(at.store, "transact", interrupted)
    with pytest.raises((SignInNeeded, AccountNotLinked)):
        await at.grants.redeem(redeem)
    assert at.rows()["grant_"] == []


async def test_unlinking_between_code_and_redeem_makes_no_grant(at: FacilityScene) -> None:
    await at.link()
    redeem, _ = await at.code()
    await at.unlink(ADA)
    await at.link()
    with pytest.raises(SignInNeeded):
        await at.grants.redeem(redeem)
    assert at.rows()["grant_"] == []


async def test_a_grant_lives_as_long_as_its_furthest_scope(at: FacilityScene) -> None:
    await at.link()
    both, read = await at.held(), await at.held(scopes=READ)
    assert (both.grant.lifetime_ms, read.grant.lifetime_ms) == (12 * 3_600_000, 7 * 86_400_000)
    at.now += 12 * 3600 - 1
    assert (await at.search(both)).outcome is Outcome.OK
    at.now += 1
    refused(await at.search(both), "SIGN_IN_NEEDED")
    at.now += 6.5 * 86400 - 1
    assert (await at.search(read)).outcome is Outcome.OK
    at.now += 1
    refused(await at.search(read), "SIGN_IN_NEEDED")


async def test_a_sign_in_has_at_most_four_grants_and_the_oldest_end_soon(at: FacilityScene) -> None:
    await at.link()
    held = []
    for _ in range(6):
        held.append(await at.held())
        at.now += 1
    other = await at.held(sid="another sign-in")
    for grant in (*held, other):
        assert (await at.search(grant)).outcome is Outcome.OK, "an order under way may still name it"
    at.now += 900
    for grant in held[:2]:
        refused(await at.search(grant), "SIGN_IN_NEEDED")
    for grant in (*held[2:], other):
        assert (await at.search(grant)).outcome is Outcome.OK
    for _ in range(3):
        await at.held()
    at.now += 899
    assert (await at.search(held[3])).outcome is Outcome.OK


# --- verifying


async def test_one_bit_changed_anywhere_is_refused(at: FacilityScene) -> None:
    held = await at.ada()
    body = at.body(Verb.SEARCH, SearchQuery())
    mac, before = proof.mac(held.secret, body), at.rows()
    for position in range(0, len(body) * 8, 5):
        bad = bytearray(body)
        bad[position // 8] ^= 1 << position % 8
        refused(await at.send(bytes(bad), held.grant_id, mac), "SIGN_IN_NEEDED")
    for position in range(0, 256, 3):
        wrong = bytearray(mac)
        wrong[position // 8] ^= 1 << position % 8
        refused(await at.send(body, held.grant_id, bytes(wrong)), "SIGN_IN_NEEDED")
    assert at.rows() == before
    assert (await at.send(body, held.grant_id, mac)).outcome is Outcome.OK


async def test_another_grants_id_is_refused(at: FacilityScene) -> None:
    ada, ben = await at.ada(), await at.ben()
    own = await at.held(sid="another of ada's")
    body = at.body(Verb.SEARCH, SearchQuery())
    mac, before = proof.mac(ada.secret, body), at.rows()
    for grant_id in (ben.grant_id, own.grant_id, "", "no-such-grant", ada.grant_id.upper(), ada.grant_id + "\0"):
        refused(await at.send(body, grant_id, mac), "SIGN_IN_NEEDED")
    for wrong in (b"", mac[:-1], mac + b"\0", bytes(32), proof.mac(bytes(32), body)):
        refused(await at.send(body, ada.grant_id, wrong), "SIGN_IN_NEEDED")
    refused(await at.send(body, "no-such-grant", proof.mac(bytes(32), body)), "SIGN_IN_NEEDED")
    assert at.rows() == before


async def test_bytes_that_are_no_command_are_refused_after_the_mac(at: FacilityScene) -> None:
    held = await at.ada()
    before = at.rows()
    for body in (b"", b"\xff" * 40, b"x" * 70_000):
        refused(await at.send(body, held.grant_id, bytes(32)), "SIGN_IN_NEEDED")
        refused(await at.signed(held, body), "INVALID_REQUEST")
    assert at.rows() == before


# --- authorising


async def test_a_command_for_another_facility_is_refused(at: FacilityScene) -> None:
    held = await at.ada()
    before = at.rows()
    refused(await at.search(held, facility="beta"), "INVALID_REQUEST")
    assert at.rows() == before


async def test_read_does_not_reach_run(at: FacilityScene) -> None:
    held = await at.ada(READ)
    before = at.rows()
    refused(await at.ask(held, Verb.LAUNCH, launch_request(), command_id=WORKSPACE), "SCOPE_DENIED")
    refused(await at.ask(held, Verb.STOP, Stop(WORKSPACE)), "SCOPE_DENIED")
    assert at.rows() | {"order_": []} == before, "of a refusal only the refusal itself is kept"
    run = await at.held(scopes=frozenset({Scope.RUN}))
    refused(await at.search(run), "SCOPE_DENIED")
    refused(await at.ask(run, Verb.UNLINK, Unlink()), "SCOPE_DENIED")
    assert (await at.search(held)).outcome is Outcome.OK, "the link is still there"


@pytest.mark.parametrize(
    ("ahead", "good"), [(0.001, True), (600, True), (0, False), (-1, False), (600.001, False), (1e6, False)]
)
async def test_a_command_is_good_until_it_expires_and_no_longer_than_ten_minutes(
    at: FacilityScene, ahead: float, good: bool
) -> None:
    held = await at.ada()
    before = at.rows()
    answer = await at.search(held, ahead=ahead)
    if good:
        assert answer.outcome is Outcome.OK
    else:
        refused(answer, "EXPIRED")
        assert at.rows() == before


async def test_a_query_is_answered_once(at: FacilityScene) -> None:
    held = await at.ada()
    body = at.body(Verb.SEARCH, SearchQuery())
    assert (await at.signed(held, body)).outcome is Outcome.OK
    before = at.rows()
    refused(await at.signed(held, body), "REPLAYED")
    at.now += 61
    refused(await at.signed(held, body), "EXPIRED")
    assert at.rows() == before


async def test_a_query_sent_many_times_at_once_is_answered_once(at: FacilityScene) -> None:
    held = await at.ada()
    body = at.body(Verb.SEARCH, SearchQuery())
    answers = await asyncio.gather(*(at.signed(held, body) for _ in range(8)))
    assert sorted(a.outcome for a in answers) == sorted([Outcome.OK, *[Outcome.FAILED] * 7])


async def test_the_same_id_with_other_bytes_or_another_grant_is_a_conflict(at: FacilityScene) -> None:
    ada, ben = await at.ada(), await at.ben()
    own = await at.held()
    await at.search(ada, command_id="c-1")
    before = at.rows()
    refused(await at.ask(ada, Verb.SEARCH, SearchQuery(text="x"), command_id="c-1"), "CONFLICT")
    for other in (ben, own):
        refused(await at.search(other, command_id="c-1"), "CONFLICT")
    assert at.rows() == before


async def test_an_id_is_remembered_as_long_as_the_command_could_be_replayed(at: FacilityScene) -> None:
    held = await at.ada()
    body = at.body(Verb.SEARCH, SearchQuery(), ahead=600)
    await at.signed(held, body)
    at.now += 599
    await at.held()  # sweeps what has expired
    refused(await at.signed(held, body), "REPLAYED")
    at.now += 2
    await at.held()
    assert at.rows()["seen"] == []
    refused(await at.signed(held, body), "EXPIRED")


async def test_unlinking_kills_every_grant_at_once(at: FacilityScene) -> None:
    held, other = await at.ada(), await at.held(sid="another")
    assert (await at.ask(held, Verb.UNLINK, Unlink())).payload == Done()
    assert at.rows()["grant_"] == []
    await at.link()
    for grant in (held, other):
        refused(await at.search(grant), "SIGN_IN_NEEDED")
    assert (await at.search(await at.held())).outcome is Outcome.OK


async def test_a_grant_of_an_earlier_generation_is_not_linked(at: FacilityScene) -> None:
    held = await at.ada()
    row = await at.store.transact(lambda tx: tx.grant(held.grant_id))
    assert row is not None
    await at.unlink(ADA)
    await at.link()
    await at.store.transact(lambda tx: tx.put_grant(row))  # as a backup of the store would bring it back
    refused(await at.search(held), "ACCOUNT_NOT_LINKED")
    refused(await at.ask(held, Verb.LAUNCH, launch_request(), command_id=WORKSPACE), "ACCOUNT_NOT_LINKED")
    for verb, nothing in ((Verb.UNLINK, Unlink()), (Verb.RELEASE, Release())):
        refused(await at.ask(held, verb, nothing), "ACCOUNT_NOT_LINKED")
    assert await at.workspaces.known(WORKSPACE) is None
    assert await at.accounts.link_of(ADA) is not None


async def test_sign_out_and_release_end_one_sign_in_only(at: FacilityScene) -> None:
    ada = await at.ada()
    same, other, ben = await at.held(), await at.held(sid="sid-9"), await at.ben()
    assert (await at.ask(ada, Verb.RELEASE, Release())).payload == Done()
    for grant in (ada, same):
        refused(await at.search(grant), "SIGN_IN_NEEDED")
    assert (await at.search(other)).outcome is Outcome.OK
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-9")
    refused(await at.search(other), "SIGN_IN_NEEDED")
    assert (await at.search(ben)).outcome is Outcome.OK


async def test_release_needs_no_scope_but_a_grant(at: FacilityScene) -> None:
    held = await at.ada(frozenset({Scope.RUN}))
    refused(await at.send(at.body(Verb.RELEASE, Release())), "SIGN_IN_NEEDED")
    assert (await at.ask(held, Verb.RELEASE, Release())).outcome is Outcome.OK


async def test_what_is_public_goes_without_a_grant_and_nothing_else(at: FacilityScene) -> None:
    answer = await at.send(at.body(Verb.SEARCH, SearchQuery()))
    assert isinstance(answer.payload, SearchPage)
    assert {d.pid for d in answer.payload.datasets} == {"d-o"}
    before = at.rows()
    for verb, parameters in ((Verb.STOP, Stop(WORKSPACE)), (Verb.UNLINK, Unlink())):
        refused(await at.send(at.body(verb, parameters)), "SIGN_IN_NEEDED")
    refused(await at.send(at.body(Verb.LAUNCH, launch_request(), command_id=WORKSPACE)), "SIGN_IN_NEEDED")
    refused(await at.send(at.body(Verb.SEARCH, SearchQuery(), facility="beta")), "INVALID_REQUEST")
    assert at.rows() == before


async def test_secrets_are_sealed_in_the_store(at: FacilityScene) -> None:
    held = await at.ada()
    _, other = await at.code()
    workspace = await at.running(held)
    disk = b"".join(path.read_bytes() for path in at.folder.glob("agent.sqlite3*"))
    assert held.secret not in disk
    assert other not in disk
    endpoint = await at.workspaces.endpoint(await at.row(workspace))
    assert endpoint is not None
    assert endpoint.headers[0][1].removeprefix("token ").encode() not in disk


# --- rates


async def test_a_person_has_twenty_commands_a_second_however_many_grants(at: FacilityScene) -> None:
    one, two, ben = await at.ada(), await at.held(), await at.ben()
    for n in range(LIMITS.commands_per_second):
        assert (await at.search(one if n % 2 else two)).outcome is Outcome.OK
    before = at.rows()
    for grant in (one, two):
        refused(await at.search(grant), "RATE_LIMITED")
    assert at.rows() == before, "a refused command does not use up its id"
    assert (await at.search(ben)).outcome is Outcome.OK
    at.now += 1
    assert (await at.search(one)).outcome is Outcome.OK


async def test_forged_commands_use_up_nobodys_rate(at: FacilityScene) -> None:
    held = await at.ada()
    for _ in range(LIMITS.commands_per_second * 2):
        body = at.body(Verb.SEARCH, SearchQuery())
        refused(await at.send(body, held.grant_id, bytes(32)), "SIGN_IN_NEEDED")
    assert (await at.search(held)).outcome is Outcome.OK


@settings(deadline=None)
@given(st.lists(st.floats(0, 1.2), min_size=1, max_size=200))
def test_no_second_ever_holds_more_than_twenty(pauses: list[float]) -> None:
    now, taken = 1000.0, list[float]()
    rates = Rates(lambda: now)
    for pause in pauses:
        now += pause * pause / 20
        lately = [at for at in taken if at > now - 1]
        try:
            rates.count(ADA)
        except RateLimited:
            assert len(lately) >= LIMITS.commands_per_second, "refused too early"
        else:
            taken.append(now)
            assert len(lately) < LIMITS.commands_per_second, "one too many"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([0.0, 0.3, 1.0, 100.0, 1799.9, 3600.0]), max_size=40))
def test_no_hour_ever_holds_more_than_two_thousand(jumps: list[float]) -> None:
    now, taken = 1000.0, deque[float]()
    rates = Rates(lambda: now)
    for jump in jumps:
        now += jump
        for _ in range(150):
            now += 0.0625
            while taken and taken[0] < now - 3600:
                taken.popleft()
            try:
                rates.count(ADA)
            except RateLimited:
                assert len(taken) >= LIMITS.commands_per_hour, "refused too early"
            else:
                assert len(taken) < LIMITS.commands_per_hour, "one too many"
                taken.append(now)


def test_many_people_do_not_fill_the_memory() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    for n in range(10_001):
        rates.count(Subject("op", str(n)))
    now = 4000.0
    rates.count(ADA)
    assert len(rates._used) == 1
