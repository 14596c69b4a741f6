"""People's own sessions at an ICAT: opened by their token, of nobody else, renewed, ended, and what stands in for them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.adapters.catalogue.icat_persons import ASK, IcatPersons
from facility_agent.adapters.http import Upstream
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.ports.directory import Account
from facility_agent.ports.tokens import PersonSession
from facility_agent.testing.catalogue_world import ADA
from shared.catalogue import ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import AccessDenied, BackendError, NotFound, SignInNeeded
from tests.contracts.icat_worlds import IN_PERSON
from tests.icat_dump import NOW, SERVICE, USERS, recorded
from tests.icat_place import Place, place
from tests.icat_tokens import PLUGIN, Purse, token, trusting
from tests.standins.icat import Icat

__all__ = ["place"]
pytestmark = pytest.mark.needs("icat-data")
WELCOME: dict[str, Any] = {"person_session": PLUGIN}
KEEPER = f"simple/{SERVICE}"


def account(name: str) -> Account:
    return replace(ADA, username=name, immutable_id=f"id of {name}")


def reader(name: str) -> Reader:
    return Reader(account(name))


@pytest.fixture
def icat(place: Place) -> Icat:
    return trusting(place.ids.icat)


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture
async def port(place: Place, icat: Icat, purse: Purse) -> AsyncIterator[IcatCatalogue]:
    """Where a session of one's own is required."""
    async with place.adapter(**IN_PERSON) as made:
        made.use(purse)
        yield made


@pytest.fixture
async def lenient(place: Place, icat: Icat, purse: Purse) -> AsyncIterator[IcatCatalogue]:
    """Where the portal's account stands in."""
    async with place.adapter(**WELCOME) as made:
        made.use(purse)
        yield made


def held(purse: Purse, icat: Icat, name: str, **changes: Any) -> None:
    purse.put(f"id of {name}", token(icat, f"db/{name}", **changes))


def askers(icat: Icat) -> set[str]:
    return {user for user, _ in icat.asked}


def living(icat: Icat) -> list[str]:
    """The users of the sessions that are open, without the portal's own."""
    return sorted(user for user, _ in icat.sessions.values() if user != KEEPER)


async def titles(port: IcatCatalogue, who: Reader, query: SearchQuery | None = None) -> list[str]:
    return [each.title for each in (await port.search(query or SearchQuery(limit=100), who)).datasets]


@pytest.mark.parametrize("user", [user for user in USERS if user.startswith("db/")])
async def test_each_sees_in_their_own_session_what_a_real_icat_showed_them(
    port: IcatCatalogue, lenient: IcatCatalogue, icat: Icat, purse: Purse, user: str
) -> None:
    name, expected = user.partition("/")[2], recorded(user)
    held(purse, icat, name)
    who, by_rules = reader(name), Reader(replace(account(name), immutable_id="of nobody who signed in"))
    datasets = (await port.search(SearchQuery(limit=100), who)).datasets
    assert len(datasets) == expected["Dataset"]
    assert datasets == (await lenient.search(SearchQuery(limit=100), by_rules)).datasets, "the same by the rules"
    files = [await port.files(GetFiles(each.pid, 100), who) for each in datasets]
    assert sum(len(page.files) for page in files) == expected["Datafile"]
    assert {d.proposal for d in datasets if not d.is_open} <= {
        each.pid for each in (await port.proposals(ProposalQuery(limit=100), who)).proposals
    }
    assert f"db/{name}" in askers(icat)


async def test_a_question_is_asked_in_the_persons_session_and_needs_no_rule_of_theirs(
    port: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    held(purse, icat, "jdoe")
    assert len(await titles(port, reader("jdoe"))) == 6
    assert living(icat) == ["db/jdoe"]
    kept = [text for user, text in icat.asked if user == KEEPER]
    assert not any("jdoe" in text for text in kept), "the portal's account asks what anyone sees"
    await titles(port, reader("jdoe"))
    assert living(icat) == ["db/jdoe"], "one session, used again"


async def test_what_a_person_may_not_see_is_not_found_in_their_own_session_either(
    port: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    for name in ("nbour", "jdoe"):
        held(purse, icat, name)
    mine = (await port.search(SearchQuery(limit=100, proposals=("12100409-ST",)), reader("nbour"))).datasets
    hidden = [each for each in mine if not each.is_open]
    assert len(hidden) == 3
    assert not set(await titles(port, reader("jdoe"))) & {each.title for each in hidden}
    for each in hidden:
        with pytest.raises(NotFound):
            await port.get(each.pid, reader("jdoe"))
        with pytest.raises(NotFound):
            await port.files(GetFiles(each.pid, 10), reader("jdoe"))
    assert await titles(port, reader("jdoe"), SearchQuery(proposals=("12100409-ST",))) == []


async def test_strangers_are_answered_as_before(port: IcatCatalogue, icat: Icat) -> None:
    assert len(await titles(port, STRANGER)) == 1
    assert living(icat) == []


async def test_another_persons_token_is_refused_and_nothing_is_asked_in_its_session(
    port: IcatCatalogue, lenient: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    for user in ("db/nbour", "simple/root", "db/JDOE", "jdoe"):
        for each in (port, lenient):
            purse.put("id of jdoe", token(icat, user))
            with pytest.raises(AccessDenied) as refused:
                await titles(each, reader("jdoe"))
            assert user not in refused.value.message
            with pytest.raises(AccessDenied):
                await each.get("000000000001", reader("jdoe"))
            assert not await each.signed_in(account("jdoe"))
    assert user not in askers(icat)
    assert askers(icat) <= {KEEPER}
    assert living(icat) == [], "the session is ended at once"


@pytest.mark.parametrize("changes", [{"iss": "https://evil.example.org"}, {"exp": 1}, {"iss": None}])
async def test_a_token_that_icat_refuses_is_tried_once(
    port: IcatCatalogue, lenient: IcatCatalogue, icat: Icat, purse: Purse, changes: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    held(purse, icat, "jdoe", **changes)
    tried = []
    plugin = icat.authenticators[PLUGIN]
    icat.authenticators[PLUGIN] = replace(plugin, check=lambda given: tried.append(1) or plugin.check(given))
    for _ in range(3):
        with pytest.raises(SignInNeeded) as refused:
            await titles(port, reader("jdoe"))
        assert refused.value.message == ASK
    assert len(tried) == 1
    assert len(await titles(lenient, reader("jdoe"))) == 6, "by the rules, as without a token"
    assert purse.tokens["id of jdoe"].text not in caplog.text
    assert living(icat) == []
    held(purse, icat, "jdoe")
    assert len(await titles(port, reader("jdoe"))) == 6, "another token is tried"
    assert await lenient.signed_in(account("jdoe"))


async def test_without_a_token_the_site_decides(
    port: IcatCatalogue, lenient: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    assert (port.person_session, lenient.person_session) == (PersonSession.REQUIRED, PersonSession.WELCOME)
    for ask in (
        port.search(SearchQuery(), reader("jdoe")), port.get("000000000001", reader("jdoe")),
        port.proposals(ProposalQuery(), reader("jdoe")), port.files(GetFiles("000000000001", 10), reader("jdoe")),
    ):  # fmt: skip
        with pytest.raises(SignInNeeded):
            await ask
    assert askers(icat) == set()
    assert len(await titles(lenient, reader("jdoe"))) == 6
    assert askers(icat) == {KEEPER}


async def test_a_revoked_session_is_opened_anew_once_then_the_person_is_told(
    port: IcatCatalogue, lenient: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    held(purse, icat, "jdoe")
    for each in (port, lenient):
        assert len(await titles(each, reader("jdoe"))) == 6
        icat.sessions.clear()
        assert len(await titles(each, reader("jdoe"))) == 6
    await titles(port, reader("jdoe"))
    assert living(icat) == ["db/jdoe", "db/jdoe"]
    purse.over("id of jdoe")
    assert len(await titles(port, reader("jdoe"))) == 6, "the session outlives its token"
    icat.sessions.clear()
    icat.asked.clear()
    with pytest.raises(SignInNeeded):
        await titles(port, reader("jdoe"))
    assert len(await titles(lenient, reader("jdoe"))) == 6
    assert askers(icat) == {KEEPER}


async def test_the_session_ends_with_what_is_held(port: IcatCatalogue, icat: Icat, purse: Purse) -> None:
    for name in ("jdoe", "nbour"):
        held(purse, icat, name)
        await titles(port, reader(name))
    purse.tokens.clear()
    with pytest.raises(SignInNeeded):
        await titles(port, reader("jdoe"))
    assert living(icat) == ["db/nbour"], "at the next question"
    assert port._persons is not None
    await port._persons.tend()
    assert living(icat) == [], "or when it is looked after"


async def test_a_question_under_way_does_not_revive_a_session_that_has_ended(
    port: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    held(purse, icat, "jdoe")
    persons = port._persons
    assert persons is not None
    person = await persons.of(account("jdoe"), "db/jdoe")
    assert person is not None
    assert await person.client.query("SELECT COUNT(o) FROM Dataset o") == [6]
    purse.tokens.clear()
    await persons.tend()
    with pytest.raises(BackendError):
        await person.client.query("SELECT COUNT(o) FROM Dataset o")
    assert living(icat) == []


async def test_an_account_that_is_renamed_does_not_keep_the_session_of_its_old_name(
    port: IcatCatalogue, icat: Icat, purse: Purse
) -> None:
    held(purse, icat, "jdoe")
    await titles(port, reader("jdoe"))
    with pytest.raises(AccessDenied):
        await titles(port, Reader(replace(account("jdoe"), username="nbour")))
    assert living(icat) == []


async def test_sessions_are_renewed_when_half_over_though_nobody_asks(
    icat: Icat, place: Place, purse: Purse
) -> None:
    now = [0.0]
    persons = IcatPersons(Upstream(f"{place.base}/icat", "catalogue"), PLUGIN, required=True, clock=lambda: now[0])
    persons.use(purse)
    held(purse, icat, "jdoe")
    assert await persons.signed_in(account("jdoe"), "db/jdoe")
    (before,) = icat.sessions
    purse.over("id of jdoe")
    for minutes in (30, 65, 130, 195):
        icat.clock = lambda minutes=minutes: NOW + timedelta(minutes=minutes)  # type: ignore[misc]
        now[0] = minutes * 60.0
        await persons.tend()
    assert icat.sessions == {before: ("db/jdoe", NOW + timedelta(minutes=195) + icat.life)}
    await persons.close()
    assert icat.sessions == {}, "and ended when the agent goes"


async def test_an_icat_without_the_authenticator_says_so_and_changes_nothing_else(
    port: IcatCatalogue, lenient: IcatCatalogue, icat: Icat, purse: Purse, caplog: pytest.LogCaptureFixture
) -> None:
    assert await port.person_fault() == ""
    del icat.authenticators[PLUGIN]
    held(purse, icat, "jdoe")
    for each in (port, lenient):
        assert PLUGIN in await each.person_fault()
        assert not await each.signed_in(account("jdoe"))
    assert len(await titles(lenient, reader("jdoe"))) == 6
    assert len(await titles(port, STRANGER)) == 1
    with pytest.raises(BackendError):
        await titles(port, reader("jdoe"))
    assert purse.tokens["id of jdoe"].text not in caplog.text
    assert askers(icat) == {KEEPER}


async def test_neither_token_nor_session_is_in_an_error_a_log_or_a_repr(
    port: IcatCatalogue, icat: Icat, purse: Purse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    held(purse, icat, "jdoe")
    await titles(port, reader("jdoe"))
    said = f"{caplog.text} {purse.tokens!r}"
    with pytest.raises(BackendError) as refused:
        await port._asked(reader("jdoe"), lambda own: own.query("SELECT x FROM Nothing x"))  # type: ignore[union-attr]
    said += f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    for secret in (purse.tokens["id of jdoe"].text, *icat.sessions):
        assert secret not in said


async def test_a_person_restores_what_they_see_in_their_own_session(
    place: Place, icat: Icat, purse: Purse, tmp_path: Path
) -> None:
    async with place.adapter(**IN_PERSON) as port:
        port.use(purse)
        held(purse, icat, "jdoe")
        (found, *_) = (await port.search(SearchQuery(limit=1), reader("jdoe"))).datasets
        place.ids.archive[int(found.pid)] = "ARCHIVED"
        await port.restore(found.pid, reader("jdoe"))
        assert place.ids.restores == [int(found.pid)]
        with pytest.raises(SignInNeeded):
            await port.restore(found.pid, reader("nbour"))
        assert place.ids.restores == [int(found.pid)]
