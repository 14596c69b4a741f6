"""Tokens of the facility's sign-on in the agent: sealed, of one person and one account, and gone with the grant."""

from __future__ import annotations

import asyncio

import pytest

from facility_agent.core import sign_on_tokens
from facility_agent.core.doorkeeper import CoreDoorkeeper
from facility_agent.core.sign_on_tokens import LONGEST, HeldTokens, TokenKeeper
from facility_agent.ports.directory import Account
from facility_agent.ports.doorkeeper import LocalIdentity
from facility_agent.ports.tokens import PersonalCatalogue, PersonSession, SignOnToken, Tokens
from facility_agent.store.vault import KeyFileVault
from shared.errors import BackendError, BackendUnavailable, InvalidRequest, SignInNeeded, Unsupported
from shared.limits import LIMITS
from tests.facility_scene import ADA, BEN, FacilityScene

TEXT = "eyJ0.a-token-of-ada.sig"
GOOD = SignOnToken(TEXT, 300.0)
MINE = LocalIdentity("ada", "id-1", "Ada L.")


class Known(PersonalCatalogue):
    """A catalogue that knows whom it is told to."""

    def __init__(self, wish: PersonSession) -> None:
        self.wish, self.known, self.away, self.hangs = wish, set[str](), False, False

    @property
    def person_session(self) -> PersonSession:
        return self.wish

    def use(self, tokens: Tokens) -> None:
        pass

    async def signed_in(self, account: Account) -> bool:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise BackendUnavailable("It is away.")
        return account.immutable_id in self.known

    async def person_fault(self) -> str:
        return ""


@pytest.fixture
def tokens(at: FacilityScene) -> HeldTokens:
    return HeldTokens(at.store, KeyFileVault(at.folder / "vault.key"), at.clock)


def keeper(at: FacilityScene, tokens: HeldTokens, catalogue: PersonalCatalogue) -> CoreDoorkeeper:
    return CoreDoorkeeper(
        at.store, at.accounts, at.grants, at.workspaces, at.revoked, at.clock,
        tokens=TokenKeeper(tokens, at.store, at.accounts, catalogue),
    )  # fmt: skip


async def text_of(tokens: HeldTokens, immutable_id: str = "id-1") -> str | None:
    held = await tokens.held(immutable_id)
    return held.text if held is not None else None


async def test_a_token_is_held_for_its_account_and_is_nowhere_in_the_clear(
    at: FacilityScene, tokens: HeldTokens
) -> None:
    await at.ada()
    await tokens.keep(ADA, "sid-1", "id-1", GOOD)
    assert await text_of(tokens) == TEXT
    assert await text_of(tokens, "id-2") is None
    files = [path for path in at.folder.iterdir() if path.name.startswith("agent.sqlite3")]
    assert files
    assert all(TEXT.encode() not in path.read_bytes() for path in files)
    assert TEXT not in repr((GOOD, await tokens.held("id-1")))


async def test_a_new_token_stands_in_for_the_old_one_and_has_another_mark(
    at: FacilityScene, tokens: HeldTokens
) -> None:
    await at.ada()
    marks = set()
    for text in ("one", "two"):
        await tokens.keep(ADA, "sid-1", "id-1", SignOnToken(text, 60.0))
        held = await tokens.held("id-1")
        assert held is not None
        assert held.text == text
        marks.add(held.mark)
    assert len(marks) == 2
    assert len(at.rows()["sign_on_token"]) == 1


async def test_a_box_of_one_account_opens_for_no_other(at: FacilityScene, tokens: HeldTokens) -> None:
    await at.ada()
    await at.ben()
    await tokens.keep(ADA, "sid-1", "id-1", GOOD)
    sql = "update sign_on_token set issuer=?, sub=?, immutable_id='id-2'"
    await at.store.transact(lambda tx: tx._db.execute(sql, (BEN.issuer, BEN.sub)))  # type: ignore[attr-defined]
    with pytest.raises(BackendError):
        await tokens.held("id-2")


async def test_it_is_over_when_it_says_so_and_what_is_held_goes_on(at: FacilityScene, tokens: HeldTokens) -> None:
    await at.ada()
    await tokens.keep(ADA, "sid-1", "id-1", GOOD)
    before = await tokens.held("id-1")
    at.now += 301
    after = await tokens.held("id-1")
    assert before is not None
    assert after is not None
    assert (after.mark, after.text) == (before.mark, "")
    await at.held(sid="sid-3")
    (row,) = at.rows()["sign_on_token"]
    assert "b''" in row, "it is wiped at the next grant"


async def test_it_waits_ten_minutes_for_a_link_and_a_grant(at: FacilityScene, tokens: HeldTokens) -> None:
    await tokens.keep(ADA, "sid-1", "id-1", SignOnToken(TEXT, 86_400.0))
    assert await text_of(tokens) is None, "nobody is linked yet"
    await at.link()
    assert await text_of(tokens) == TEXT
    at.now += 601
    assert await text_of(tokens) is None, "no grant came"
    await at.code()
    assert at.rows()["sign_on_token"] == []


@pytest.mark.parametrize("end", ["unlink", "sign-out", "release", "expiry"])
async def test_it_goes_with_the_grant(at: FacilityScene, tokens: HeldTokens, end: str) -> None:
    held = await at.ada()
    await at.ben()
    await tokens.keep(ADA, "sid-1", "id-1", SignOnToken(TEXT, 86_400.0 * 30))
    await tokens.keep(BEN, "sid-2", "id-2", SignOnToken("of ben", 86_400.0 * 30))
    match end:
        case "unlink":
            await at.unlink()
        case "sign-out":
            await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1")
        case "release":
            row = await at.store.transact(lambda tx: tx.grant(held.grant_id))
            assert row is not None
            await at.grants.release(row)
        case "expiry":
            at.now += 86_400 * 8
    assert await text_of(tokens) is None
    if end == "expiry":
        await at.code(BEN, "sid-2")
        assert at.rows()["sign_on_token"] == []
    else:
        assert await text_of(tokens, "id-2") == "of ben", "and nobody else's"
        assert len(at.rows()["sign_on_token"]) == 1


async def test_what_somebody_brings_for_an_account_that_is_not_theirs_is_never_used(
    at: FacilityScene, tokens: HeldTokens
) -> None:
    await at.ada()
    await at.ben()
    await tokens.keep(BEN, "sid-2", "id-1", SignOnToken("of ben, for ada's account", 300.0))
    assert await text_of(tokens) is None
    assert await text_of(tokens, "id-2") is None
    await tokens.keep(ADA, "sid-1", "id-1", GOOD)
    assert await text_of(tokens) == TEXT


@pytest.mark.parametrize(
    "token",
    [SignOnToken("", 60.0), SignOnToken("x" * (LONGEST + 1), 60.0), SignOnToken("a\nb", 60.0), SignOnToken("ä", 60.0),
     SignOnToken("x", 0.0), SignOnToken("x", -1.0), SignOnToken("x", float("inf")), SignOnToken("x", float("nan"))],
)  # fmt: skip
async def test_what_is_no_token_is_refused(at: FacilityScene, tokens: HeldTokens, token: SignOnToken) -> None:
    await at.ada()
    before = at.rows()
    with pytest.raises(InvalidRequest):
        await tokens.keep(ADA, "sid-1", "id-1", token)
    assert at.rows() == before


async def test_who_has_signed_out_meanwhile_leaves_nothing(at: FacilityScene, tokens: HeldTokens) -> None:
    await at.ada()
    await at.doorkeeper.signed_out(ADA.issuer, "", "sid-1")
    with pytest.raises(SignInNeeded):
        await tokens.keep(ADA, "sid-1", "id-1", GOOD)
    at.now += LIMITS.sid_memory + 1
    assert at.rows()["sign_on_token"] == []


async def test_a_token_is_wished_for_while_the_catalogue_does_not_know_the_person(
    at: FacilityScene, tokens: HeldTokens
) -> None:
    catalogue = Known(PersonSession.REQUIRED)
    door = keeper(at, tokens, catalogue)
    assert await door.token_wish(ADA) is PersonSession.REQUIRED, "before the link too"
    await at.ada()
    assert await door.token_wish(ADA) is PersonSession.REQUIRED
    catalogue.wish = PersonSession.WELCOME
    assert await door.token_wish(ADA) is PersonSession.WELCOME
    catalogue.known.add("id-1")
    assert await door.token_wish(ADA) is PersonSession.NEVER
    catalogue.known.clear()
    catalogue.away = True
    assert await door.token_wish(ADA) is PersonSession.NEVER, "nobody is sent about for a catalogue that is away"


async def test_a_catalogue_that_hangs_holds_nobody_up(
    at: FacilityScene, tokens: HeldTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_on_tokens, "ASKING", 0.01)
    catalogue = Known(PersonSession.REQUIRED)
    catalogue.hangs = True
    await at.ada()
    assert await keeper(at, tokens, catalogue).token_wish(ADA) is PersonSession.NEVER


async def test_where_the_catalogue_takes_none_nothing_is_held(at: FacilityScene, tokens: HeldTokens) -> None:
    await at.ada()
    before = at.rows()
    for door in (at.doorkeeper, keeper(at, tokens, Known(PersonSession.NEVER))):
        assert await door.token_wish(ADA) is PersonSession.NEVER
        with pytest.raises(Unsupported):
            await door.keep_token(ADA, "sid-1", MINE, GOOD)
    assert at.rows() == before
