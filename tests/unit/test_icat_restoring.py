"""Where an ICAT's data are, as its data service says, and their restore."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse, Response

from facility_agent.adapters.catalogue.icat_restoring import RestorableIcat
from facility_agent.ports.catalogue import STRANGER
from shared.catalogue import ArchiveState, SearchQuery
from shared.errors import BackendError, BackendUnavailable, NotFound
from tests.contracts.icat_worlds import adapter
from tests.icat_place import Place, place, port, reader

__all__ = ["place", "port"]
pytestmark = pytest.mark.needs("icat-data")


async def test_states_are_told_for_each_dataset_of_a_page(place: Place, port: RestorableIcat) -> None:
    named, archive = place.ids.icat.named, place.ids.archive
    page = await port.search(SearchQuery(limit=100), reader("nbour"))
    assert {each.state for each in page.datasets} == {ArchiveState.ONLINE}
    assert len(place.ids.asked) == 1, "a page that is online takes one question"
    archive.update({named("Dataset", "e201215"): "ARCHIVED", named("Dataset", "e208945"): "RESTORING"})
    page = await port.search(SearchQuery(limit=100), reader("nbour"))
    told = {each.title: each.state.value for each in page.datasets if each.state is not ArchiveState.ONLINE}
    assert told == {"e201215": "ARCHIVED", "e208945": "RESTORING"}
    pid = next(each.pid for each in page.datasets if each.title == "e201215")
    assert (await port.get(pid, reader("nbour"))).state is ArchiveState.ARCHIVED
    assert len((await port.search(SearchQuery(), reader("nbour"))).datasets) == 9


REFUSALS = [
    Response("<html>Bad gateway</html>", 502), Response('{"code":"InsufficientPrivilegesException","message":"no"}', 403),
    Response("[]", 400), Response('{"code":"NotFoundException","message":"gone"}', 404), Response("", 302),
]  # fmt: skip
NO_STATES = [
    PlainTextResponse("<html>ONLINE</html>"), PlainTextResponse("MAYBE"), PlainTextResponse(""), PlainTextResponse("online"),
    PlainTextResponse("x" * 100_000), Response(b"\xff\xfe"), Response("", 204),
]  # fmt: skip


@pytest.mark.parametrize("instead", [*REFUSALS, *NO_STATES])
async def test_what_an_archive_does_not_say_is_unknown_and_never_online(
    place: Place, port: RestorableIcat, instead: Response
) -> None:
    place.instead = instead
    page = await port.search(SearchQuery(limit=100), reader("nbour"))
    assert len(page.datasets) == 9
    assert {each.state for each in page.datasets} == {ArchiveState.UNKNOWN}


@pytest.mark.parametrize("instead", REFUSALS)
async def test_a_restore_that_is_refused_is_told_in_our_words(
    place: Place, port: RestorableIcat, instead: Response
) -> None:
    page = await port.search(SearchQuery(limit=1), reader("nbour"))
    place.ids.archive[int(page.datasets[0].pid)] = "ARCHIVED"
    place.instead = instead
    for asking in (port.restore(page.datasets[0].pid, reader("nbour")), port.restore_state(page.datasets[0].pid)):
        with pytest.raises((BackendError, NotFound)) as refused:
            await asking
        assert isinstance(refused.value, BackendUnavailable) == (instead.status_code >= 500)
        assert not {"html", "gone"} & set(refused.value.message.replace("<", " ").split())
    assert place.ids.restores == []


async def test_an_archive_that_hangs_holds_nobody_up_for_long(place: Place) -> None:
    place.halts = True
    async with place.adapter(ids_timeout_s=0.1) as port:
        found = await asyncio.wait_for(port.search(SearchQuery(limit=100), reader("nbour")), 10)
        assert {each.state for each in found.datasets} == {ArchiveState.UNKNOWN}
    place.halts = False


async def test_a_session_that_is_over_is_opened_anew_for_the_archive_too(
    place: Place, port: RestorableIcat
) -> None:
    pid = (await port.search(SearchQuery(), reader("nbour"))).datasets[0].pid
    place.ids.icat.sessions.clear()
    assert await port.restore_state(pid) is ArchiveState.ONLINE
    assert len(place.ids.icat.sessions) == 1


async def test_a_restore_is_asked_for_by_who_may_read_the_dataset_alone(
    place: Place, port: RestorableIcat
) -> None:
    number = place.ids.icat.named("Dataset", "e201215")
    pid = f"{number:012d}"
    place.ids.archive[number] = "ARCHIVED"
    for who in (reader("ahau"), STRANGER, reader("ahau", "08100122-EF")):
        with pytest.raises(NotFound):
            await port.restore(pid, who)
    for text in ("1 OR 1", "", "'", f"{number}", f"{number:012d},1", "000000999999"):
        with pytest.raises(NotFound):
            await port.restore(text, reader("jdoe"))
        with pytest.raises(NotFound):
            await port.restore_state(text)
    assert place.ids.archive == {number: "ARCHIVED"}
    assert place.ids.restores == []


async def test_a_restore_is_asked_for_once_and_followed_to_its_end(place: Place, port: RestorableIcat) -> None:
    number = place.ids.icat.named("Dataset", "e201215")
    pid = f"{number:012d}"
    assert await port.restore(pid, reader("jdoe")) is ArchiveState.ONLINE
    assert place.ids.restores == []
    place.ids.archive[number] = "ARCHIVED"
    assert await port.restore_state(pid) is ArchiveState.ARCHIVED
    said = await asyncio.gather(*(port.restore(pid, reader("jdoe")) for _ in range(8)))
    assert set(said) == {ArchiveState.RESTORING}
    async with place.adapter() as again:  # as after a crash of the agent
        assert await again.restore(pid, reader("jbotu")) is ArchiveState.RESTORING
    assert await port.restore_state(pid) is (await port.get(pid, reader("jdoe"))).state is ArchiveState.RESTORING
    assert place.ids.restores == [number]
    place.ids.archive[number] = "ARCHIVED"  # it failed
    assert await port.restore(pid, reader("jdoe")) is ArchiveState.RESTORING
    assert place.ids.restores == [number, number]
    del place.ids.archive[number]
    assert await port.restore_state(pid) is (await port.get(pid, reader("jdoe"))).state is ArchiveState.ONLINE


async def test_without_a_data_service_states_are_unknown_and_nothing_can_be_restored(place: Place) -> None:
    async with adapter(place.base, place.folder, ids_url=None) as port:
        (first, *_) = (await port.search(SearchQuery(), reader("jdoe"))).datasets
        assert first.state is ArchiveState.UNKNOWN
        assert not isinstance(port, RestorableIcat)
        assert [fault.setting for fault in port.faults() if not fault.fatal] == ["ids_url"]
