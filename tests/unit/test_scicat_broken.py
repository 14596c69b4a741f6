"""A SciCat that is broken, lies or takes rights away: one clear refusal, and nothing shown that should not be."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.responses import Response

from facility_agent.ports.catalogue import STRANGER
from facility_agent.testing.catalogue_world import Known
from shared import cursors
from shared.catalogue import ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendError, BackendUnavailable, NotFound, Unsupported
from tests.contracts.scicat_worlds import OPEN, PASSWORD, adapter, pid_for, record
from tests.scicat_site import BAD, GONE, ME, Site, of, scicat, shown, titles

__all__ = ["scicat"]


LISTS = ("/api/v4/datasets", "/public")


async def test_a_scicat_that_shows_too_much_shows_nothing_more(scicat: Site) -> None:
    scicat.instead["/api/v4/datasets"] = scicat.instead["/public"] = lambda _: Response(
        json.dumps([{**of(scicat, "theirs 1"), "startTime": None, "createdAt": 0, "updatedAt": 0, "creationTime": 0,
                     "datasetlifecycle": {}}])
    )  # fmt: skip
    async with scicat.adapter() as backend:
        assert await titles(backend, ME) == []
        assert await titles(backend, STRANGER) == []
        for reader in (ME, STRANGER):
            with pytest.raises(NotFound):
                await backend.get(shown("theirs 1"), reader)


async def test_an_account_that_does_not_read_all_reads_nothing(scicat: Site) -> None:
    next(iter(scicat.world.users.values())).groups[:] = ["g-P-open"]
    async with scicat.adapter() as backend:
        for ask in (
            lambda: backend.open_proposals(), lambda: backend.search(SearchQuery(), ME),
            lambda: backend.proposals(ProposalQuery(), ME),
        ):  # fmt: skip
            with pytest.raises(BackendError) as refused:
                await ask()
            assert refused.value.message == BAD
            assert "none of the groups ['admin']" in str(refused.value.__cause__)
        assert await titles(backend, STRANGER), "strangers need no account"


async def test_rights_that_are_taken_away_later_are_noticed(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        assert await backend.open_proposals() == {OPEN}
        next(iter(scicat.world.users.values())).groups.remove("admin")
        with pytest.raises(BackendError):
            await backend.open_proposals()


async def test_a_wrong_password_is_said_without_it(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        (scicat.folder / "password").write_text("wrong horse")
        with pytest.raises(BackendError) as refused:
            await backend.search(SearchQuery(), ME)
        assert (refused.value.message, "wrong horse" in repr(refused.value.__cause__)) == (BAD, False)
        (scicat.folder / "password").write_text(PASSWORD)
        assert await titles(backend, ME), "read again at the next sign-in"


async def test_a_token_that_ends_between_two_pages_is_renewed(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        first = await backend.search(SearchQuery(limit=4), ME)
        scicat.world.revoke_all()
        rest = await backend.search(SearchQuery(limit=4, after=first.next), ME)
        assert len({d.pid for d in (*first.datasets, *rest.datasets)}) == 6
        assert len(scicat.asked("/api/v3/auth/login")) == 2
        scicat.world.revoke_all()
        found = (await backend.proposals(ProposalQuery(), ME)).proposals
        assert [p.pid for p in found] == ["P-mine", OPEN], "not what SciCat tells nobody"
        scicat.world.revoke_all()
        assert await backend.open_proposals() == {OPEN}


async def test_many_at_once_sign_in_once(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        pages = await asyncio.gather(*(titles(backend, ME) for _ in range(20)))
        assert all(page == pages[0] for page in pages)
        assert len(scicat.asked("/api/v3/auth/login")) == 1
        scicat.world.revoke_all()
        await asyncio.gather(*(titles(backend, ME) for _ in range(20)))
        assert len(scicat.asked("/api/v3/auth/login")) == 2


async def test_a_token_of_no_life_is_not_asked_for_for_ever(scicat: Site) -> None:
    scicat.world.life = 0
    async with scicat.adapter() as backend:
        with pytest.raises(BackendError):
            await backend.search(SearchQuery(), ME)
    assert len(scicat.world.asked) < 6


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ("<html>sign in</html>", 200, BAD), ("<html>", 502, GONE), ("{}", 429, GONE), ("{}", 200, BAD), ("", 200, BAD),
        ("[1]", 200, BAD), ('[{"pid": 5}]', 200, BAD), ("[{}]", 200, BAD), ('{"message": "no"}', 400, BAD), ("", 404, BAD),
        (json.dumps([{"pid": f"{n}", "isPublished": True} for n in range(200)]), 200, BAD),
        (json.dumps([{"pid": "b", "isPublished": True}, {"pid": "a", "isPublished": True}]), 200, BAD),
        ("[" * 50 + "]" * 50, 200, BAD), (f'[{{"pid": "{"x" * 70_000}"}}]', 200, BAD), ("", 307, BAD),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
async def test_a_useless_list_is_refused(scicat: Site, body: str, status: int, expected: str) -> None:
    for end in LISTS:
        scicat.instead[end] = lambda _: Response(body, status)
    async with scicat.adapter(answer_bytes=65_536) as backend:
        for reader in (ME, STRANGER):
            for ask in (lambda: backend.search(SearchQuery(limit=5), reader), lambda: backend.get("x", reader)):  # noqa: B023
                with pytest.raises(BackendError) as refused:
                    await ask()
                assert (refused.value.message, type(refused.value) is BackendUnavailable) == (
                    expected,
                    expected == GONE,
                )
                assert not isinstance(refused.value, NotFound)


async def test_counts_that_lie_are_refused_and_end(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        for said in ({"count": 10**9}, {"count": -1}, {"count": "3"}, {}, None, {"count": 0}):
            scicat.instead["/count"] = lambda _, said=said: Response(json.dumps(said))  # type: ignore[misc]
            scicat.world.asked.clear()
            for n in range(9):
                record(scicat.world, Known(f"late {n}", OPEN, started=5000.0 + n))
            with pytest.raises(BackendError) as refused:
                await backend.search(SearchQuery(until=3000.0, limit=2), STRANGER)
            assert refused.value.message == BAD
            assert len(scicat.world.asked) < 12


async def test_counts_of_proposals_that_lie_open_nothing(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        for said in (
            [],
            [{}],
            [{"proposalIds": 5}],
            [{"proposalIds": [{"_id": "P-mine", "count": "9"}]}],
            {},
            None,
        ):
            scicat.instead["/public/fullfacet"] = lambda _, said=said: Response(json.dumps(said))  # type: ignore[misc]
            with pytest.raises(BackendError):
                await backend.open_proposals()
        scicat.instead["/public/fullfacet"] = lambda _: Response(
            '[{"proposalIds": [{"_id": "P-mine", "count": 1}]}]'
        )
        assert await backend.open_proposals() == set()


async def test_one_that_hangs_costs_its_time(scicat: Site) -> None:
    scicat.halts = True
    async with scicat.adapter(timeout_s=0.3) as backend:
        began = time.monotonic()
        for ask in (lambda: backend.search(SearchQuery(), ME), lambda: backend.open_proposals()):
            with pytest.raises(BackendUnavailable):
                await ask()
        assert time.monotonic() - began < 5
        scicat.halts = False
        assert await titles(backend, ME), "and is asked again"


async def test_one_that_closes_half_way(tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n[{"pid": "x", ')
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with adapter(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path) as backend:
        with pytest.raises(BackendUnavailable) as refused:
            await backend.search(SearchQuery(), STRANGER)
        assert refused.value.message == GONE
    server.close()
    await server.wait_closed()


async def test_a_record_that_cannot_be_shown_costs_itself_alone(scicat: Site) -> None:
    scicat.world.put("datasets", pid="20.1/a\u202e", isPublished=True, startTime=datetime(2030, 1, 1, tzinfo=UTC))
    scicat.world.put(
        "datasets", pid="20.1/" + "x" * 400, isPublished=True, startTime=datetime(2030, 1, 2, tzinfo=UTC)
    )
    async with scicat.adapter() as backend:
        page = await backend.search(SearchQuery(), STRANGER)
        assert [d.title for d in page.datasets] == ["open 2", "open 1", "open 0"]
        assert page.complete, "it will never be shown, so nothing waits for it"
        assert backend.detail == "Live search of SciCat. Some records' names cannot be shown."


async def test_every_error_is_ours(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        for end in ("/instruments", "/proposals", "/login", "/whoami", "/origdatablocks"):
            for body in ("<html>", "[1, 2]", '{"a": 1}'):
                scicat.instead = {end: lambda _, body=body: Response(body)}  # type: ignore[misc]
                scicat.world.revoke_all()
                for ask in (
                    lambda: backend.search(SearchQuery(text="one", until=5.0), ME), lambda: backend.open_proposals(),
                    lambda: backend.proposals(ProposalQuery(), ME), lambda: backend.instruments(),
                    lambda: backend.files(GetFiles(shown("mine 1")), ME),
                ):  # fmt: skip
                    said = await asyncio.gather(ask(), return_exceptions=True)
                    errors = [error for error in said if isinstance(error, BaseException)]
                    assert {getattr(error, "message", repr(error)) for error in errors} <= {BAD, GONE}


async def test_blocks_without_end_end(scicat: Site) -> None:
    block = {"datasetId": pid_for("open 1"), "dataFileList": [{"path": "a", "size": 1}, {"path": 5}, "x"]}
    asked: list[bytes] = []

    def blocks(query: bytes) -> Response:
        asked.append(query)
        return Response(json.dumps([block] * 5))

    scicat.instead["/origdatablocks/public"] = blocks
    async with scicat.adapter() as backend:
        with pytest.raises(Unsupported):
            await backend.files(GetFiles(shown("open 1")), STRANGER)
    assert len(asked) == 200


async def test_proposals_out_of_order_are_refused(scicat: Site) -> None:
    def lists(*pids: str | None) -> None:
        listed = [{"proposalId": pid, "isPublished": True} for pid in pids]
        scicat.instead["/proposals"] = lambda _: Response(json.dumps(listed))

    async with scicat.adapter() as backend:
        for pids in (("b", "a"), ("a", "a"), ("",)):
            lists(*pids)
            with pytest.raises(BackendError) as refused:
                await backend.proposals(ProposalQuery(), STRANGER)
            assert refused.value.message == BAD
        lists("a", "b\u202e", "c")
        page = await backend.proposals(ProposalQuery(), STRANGER)
        assert ([p.pid for p in page.proposals], page.complete) == (["a", "c"], True)
        assert backend.detail.endswith("Some records' names cannot be shown.")
        scicat.instead.clear()
        for pid in ("A\u202e", "A\u202eb", "B" * 101, "C"):
            scicat.world.put("proposals", proposalId=pid, isPublished=True)
        seen, after = [], ""
        while not seen or after:
            page = await backend.proposals(ProposalQuery(limit=1, after=after), STRANGER)
            seen += [p.pid for p in page.proposals]
            after = page.next
        assert seen == ["C", OPEN]
        scicat.instead["/proposals"] = lambda _: Response(
            json.dumps([{"proposalId": "P-mine", "isPublished": False}])
        )
        assert (await backend.proposals(ProposalQuery(), STRANGER)).proposals == (), "each is judged again"
        lists("b")
        after = cursors.write("b")
        with pytest.raises(BackendError):
            await backend.proposals(ProposalQuery(after=after), STRANGER)
