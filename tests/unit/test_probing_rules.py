"""Catalogues that break one promise each: the probe of that promise says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facility_agent.ports.catalogue import STRANGER, Location, Reader
from facility_agent.probing import rules
from facility_agent.probing.catalogue import CatalogueProbes, Shelf
from facility_agent.probing.people import access, directory, nobody
from facility_agent.probing.results import Place, Result, State, short
from facility_agent.testing.catalogue_world import ADA
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import (
    ArchiveState,
    Belonging,
    DataFile,
    Dataset,
    FilePage,
    Member,
    Proposal,
    ProposalPage,
    SearchPage,
    SearchQuery,
)
from shared.errors import BackendError, BackendUnavailable, IdentityRefused, InvalidRequest, NotFound

WITHIN = 5.0


def dataset(n: int, proposal: str = "P-open", **more: Any) -> Dataset:
    return Dataset(
        f"d{n}", f"title {n}", proposal, "I22", "silver", "", float(n), None, 1, 1, proposal == "P-open", **more
    )


def catalogue(kind: type[MemoryCatalogue], folder: Path) -> MemoryCatalogue:
    made = kind({"P-open"}, {"P-open": folder, "P-mine": folder})
    made.put(
        [*(dataset(n) for n in range(30)), *(dataset(n, "P-mine") for n in range(30, 33))],
        {f"d{n}": (DataFile("raw/a.dat", 1), DataFile("raw/b.dat", 2)) for n in range(33)},
    )
    return made


async def probed(kind: type[MemoryCatalogue], folder: Path, reader: Reader = STRANGER) -> list[Result]:
    found: list[Result] = []
    backend = catalogue(kind, folder)

    async def locate(proposal: str, reader: Reader) -> list[Location]:
        return [await backend.locate(proposal)]

    await CatalogueProbes(
        Shelf(backend, locate, backend), reader, Place("catalogue.it", found.append), WITHIN
    ).run()
    return found


def failed(found: list[Result]) -> dict[str, str]:
    return {r.where.removeprefix("catalogue.it "): r.said for r in found if r.state is State.FAILED}


class Honest(MemoryCatalogue):
    pass


class Repeats(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        page = await super().search(query, reader)
        return page if page.next or not query.after else await super().search(replace(query, after=""), reader)


class Drops(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        page = await super().search(query, reader)
        return replace(page, datasets=page.datasets[1:]) if query.after else page


class ShowsAll(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return await super().search(query, Reader(ADA, frozenset({"P-mine"})))


class Unsorted(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        page = await super().search(query, reader)
        return replace(page, datasets=tuple(reversed(page.datasets)))


class Forgets(MemoryCatalogue):
    async def get(self, pid: str, reader: Reader) -> Dataset:
        raise NotFound


class OtherTitle(MemoryCatalogue):
    async def get(self, pid: str, reader: Reader) -> Dataset:
        return replace(await super().get(pid, reader), title="another")


class Absolute(MemoryCatalogue):
    async def files(self, wanted: Any, reader: Reader) -> FilePage:
        return FilePage((DataFile("/data/secret/a.dat", 1),))


class Climbing(MemoryCatalogue):
    async def files(self, wanted: Any, reader: Reader) -> FilePage:
        return FilePage((DataFile("raw/../../a.dat", 1),))


class Answers(MemoryCatalogue):
    async def get(self, pid: str, reader: Reader) -> Dataset:
        return await super().get("d1" if pid.startswith("parasol-probe") else pid, reader)


class Fails(MemoryCatalogue):
    async def get(self, pid: str, reader: Reader) -> Dataset:
        if "'" in pid:
            raise BackendError("The facility's catalogue gave an answer that cannot be used.")
        return await super().get(pid, reader)


class AnyCursor(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        try:
            return await super().search(query, reader)
        except InvalidRequest:
            return SearchPage()


class Injected(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        cut = any("OR 1=1" in said for said in query.instruments)
        return await super().search(replace(query, instruments=()) if cut else query, reader)


class Trips(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        if '"' in query.sample:
            raise BackendUnavailable("The facility's catalogue does not answer at the moment.")
        return await super().search(query, reader)


class Raises(MemoryCatalogue):
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return {}["a\nb"]  # type: ignore[no-any-return]


class TellsMembers(MemoryCatalogue):
    async def proposals(self, query: Any, reader: Reader) -> ProposalPage:
        return ProposalPage((Proposal("P", members=(Member("Ada"),)),))


@pytest.mark.parametrize(
    ("kind", "where", "says"),
    [
        (Honest, "", ""),
        (Repeats, "paging", "is found twice"),
        (Drops, "paging", "other datasets are found than at once"),
        (ShowsAll, "search", "Anyone is shown 'd32', which is not open."),
        (Unsorted, "search", "not in the order of times"),
        (Forgets, "dataset", "'d29' is found by a search and not by its name."),
        (OtherTitle, "dataset", "has another title"),
        (Absolute, "files", "'/data/secret/a.dat' is not one below"),
        (Climbing, "files", "is not one below"),
        (Answers, "unknown names", "it gives 'd1'"),
        (Fails, "unknown names", "BACKEND_FAILED instead of NOT_FOUND"),
        (AnyCursor, "unknown names", "It takes 'x' for a place to go on from."),
        (Injected, "hostile text", "The filter `instruments` finds datasets for '* OR 1=1'"),
        (Trips, "hostile text", 'The filter `sample` with \'" or ""="\' ends in BACKEND_UNAVAILABLE'),
        (Raises, "search", "KeyError: 'a\\nb'"),
        (TellsMembers, "proposals", "Members of 'P' are told"),
    ],
)
async def test_a_broken_promise_is_said_by_its_probe(
    tmp_path: Path, kind: type[MemoryCatalogue], where: str, says: str
) -> None:
    bad = failed(await probed(kind, tmp_path))
    if not where:
        assert bad == {}
        return
    assert says in bad[where], bad
    assert all("\n" not in said for said in bad.values())


class OwnForAll(MemoryCatalogue):
    async def get(self, pid: str, reader: Reader) -> Dataset:
        return await super().get(pid, Reader(ADA, frozenset({"P-mine"})))


class NarrowsNothing(MemoryCatalogue):
    """As an adapter that was written before one's own could be asked for."""

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return await super().search(replace(query, belonging=Belonging.ANY), reader)


async def test_what_is_ones_own_is_no_strangers(tmp_path: Path) -> None:
    me = Reader(ADA, frozenset({"P-mine"}))
    assert failed(await probed(Honest, tmp_path, me)) == {}
    assert "anyone who names it gets it" in failed(await probed(OwnForAll, tmp_path, me))["own data"]
    other = Reader(ADA, frozenset({"P-other"}))
    assert "whose proposal the rules do not give" in failed(await probed(ShowsAll, tmp_path, other))["own data"]
    none = Reader(ADA)
    assert "and is anyone's" in failed(await probed(NarrowsNothing, tmp_path, none))["own data"]
    assert "whose proposal the rules do not give" in failed(await probed(NarrowsNothing, tmp_path, me))["own data"]


async def test_text_that_cannot_be_sent_is_told(tmp_path: Path) -> None:
    found: list[Result] = []
    backend = MemoryCatalogue({"P-open"}, {})
    backend.put([dataset(1), replace(dataset(2), pid="p" * 2000), replace(dataset(3), pid="ada@example.org")], {})

    async def locate(proposal: str, reader: Reader) -> list[Location]:
        raise NotFound

    await CatalogueProbes(Shelf(backend, locate), STRANGER, Place("c", found.append), WITHIN).run()
    told = [r.said for r in found if r.state is State.WARNING]
    assert any("cannot be sent" in said for said in told)
    assert "A dataset or proposal is named by what looks like an e-mail address." in told
    assert "The data of 'P-open' are not found on this machine." in told


@pytest.mark.parametrize(
    ("states", "told", "mounts_unknown", "warns"),
    [
        ("ONLINE", "ONLINE", False, ""), ("ARCHIVED", "ARCHIVED", False, ""), ("UNKNOWN", "UNKNOWN", True, ""),
        ("ARCHIVED", "RESTORING", False, ""), ("UNKNOWN", "UNKNOWN", False, "1 ONLINE, 1 UNKNOWN."),
        ("ONLINE", "ARCHIVED", False, "'d2' is ONLINE in a search, and ARCHIVED when the archive is asked."),
    ],
)  # fmt: skip
async def test_where_data_are_is_told_and_compared(
    tmp_path: Path, states: str, told: str, mounts_unknown: bool, warns: str
) -> None:
    found: list[Result] = []
    backend, archive = MemoryCatalogue({"P-open"}, {"P-open": tmp_path}), MemoryCatalogue({"P-open"})
    for catalogue_, state in ((backend, states), (archive, told)):
        catalogue_.put([dataset(1), dataset(2, state=ArchiveState(state))])

    async def locate(proposal: str, reader: Reader) -> list[Location]:
        return [await backend.locate(proposal)]

    shelf = Shelf(backend, locate, archive, mounts_unknown)
    await CatalogueProbes(shelf, STRANGER, Place("c", found.append), WITHIN).run()
    said = [r.said for r in found if r.where == "c archive" and r.state is State.WARNING]
    assert said == ([warns] if warns else [])
    assert archive.asked == [], "nothing is brought back"


@pytest.mark.parametrize(
    ("pages", "ended", "good"),
    [
        ([["a", "b"], ["c"]], True, True), ([["a", "b"]], False, True), ([["a", "b"]], True, False), ([[]], True, False),
        ([["a", "c"]], False, False), ([["a"], ["a", "b"]], False, False), ([["a", "b"], ["c", "d"]], False, True),
    ],
)  # fmt: skip
def test_pages_are_compared_as_far_as_they_go(pages: list[list[str]], ended: bool, good: bool) -> None:
    assert list(rules.of_pages(["a", "b", "c"], pages, ended=ended)) is not good


def test_every_hostile_text_and_every_filter_is_tried() -> None:
    asked = rules.strange_questions()
    for name in ("text", "sample", "proposals", "instruments", "techniques"):
        said = [getattr(query, name) for filter_, query in asked if filter_ == name]
        assert len(said) >= len(rules.SHARP) + 4
    values = {v if isinstance(v, str) else v[0] for name, query in asked for v in [getattr(query, name)]}
    assert {text[:100] for text in rules.STRANGE} == {value[:100] for value in values}


# --- accounts and access


class People:
    def __init__(self, account: Callable[[str], Any], proposals: Callable[[Any], Any], may: bool = True) -> None:
        self._account, self._proposals, self._may = account, proposals, may

    async def account(self, username: str) -> Any:
        return self._account(username)

    async def may_use(self, account: Any) -> bool:
        return self._may

    async def proposals(self, account: Any) -> Any:
        return self._proposals(account)


def refuse(error: Exception) -> Callable[[Any], Any]:
    def raising(_: Any) -> Any:
        raise error

    return raising


def ada(username: str) -> Any:
    if username != "ada":
        raise NotFound
    return ADA


async def of_people(source: People, username: str = "ada") -> tuple[list[Result], Reader | None]:
    found: list[Result] = []
    account, _ = await directory(source, username, Place("accounts", found.append), WITHIN)
    reader, _ = await access(source, account, Place("access", found.append), WITHIN)  # type: ignore[arg-type]
    return found, reader


async def test_a_person_reads_as_the_rules_say() -> None:
    found, reader = await of_people(People(ada, lambda a: {"P1"} if a is ADA else set()))
    assert [str(r).split(":")[0] for r in found] == [
        "ok accounts nobody", "ok accounts ada", "ok access nobody", "ok access ada",
    ]  # fmt: skip
    assert reader == Reader(ADA, frozenset({"P1"}))


@pytest.mark.parametrize(
    ("source", "where", "says"),
    [
        (People(lambda name: ADA, lambda a: set()), "accounts nobody", "It gives the account 'ada' to the name"),
        (People(refuse(BackendUnavailable()), lambda a: set()), "accounts nobody", "does not answer"),
        (People(lambda n: ada(n) if n != "ada" else refuse(IdentityRefused())(n), lambda a: set()), "accounts ada", "usable account"),
        (People(ada, lambda a: {"P1"}), "access nobody", "A name that nobody has gets 1 proposals."),
        (People(ada, lambda a: set(), may=False), "access ada", "May not use the facility"),
        (People(ada, refuse(BackendUnavailable())), "access nobody", "does not answer"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_people_is_said(source: People, where: str, says: str) -> None:
    found, _ = await of_people(source)
    bad = {r.where: r.said for r in found if r.state is State.FAILED}
    assert says in bad[where], bad


def test_nobody_is_another_each_time_and_one_line_is_one_line() -> None:
    assert nobody().username != nobody().username
    assert short("a\nb\0c" + "x" * 999).startswith("a b c")
    assert len(short("x" * 999)) == 240
