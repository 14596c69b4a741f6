"""The adapter over a PaNOSC API's stand-in: what it reads, what it shows, and what it asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from facility_agent.adapters.catalogue.panosc_settings import PanoscSettings
from facility_agent.plugins import find
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.testing.catalogue_world import ADA, Known
from facility_agent.testing.patience import eventually
from shared.catalogue import DataFile, Member, ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendUnavailable, InvalidRequest, NotFound
from tests.contracts.panosc_worlds import OPEN, adapter, pid_for, record
from tests.panosc_site import Site, panosc, titles
from tests.standins.panosc import specification
from tests.standins.panosc.api import PanoscApi
from tests.standins.serving import serving

__all__ = ["panosc"]


async def test_everybody_sees_the_same(panosc: Site) -> None:
    mine = Reader(ADA, frozenset({"P-mine", "P-theirs", "10.5072/P-theirs"}))
    async with panosc.adapter() as backend:
        await backend.look()
        pages = [await backend.search(SearchQuery(), reader) for reader in (STRANGER, mine)]
        assert pages[0] == pages[1]
        assert [d.title for d in pages[0].datasets] == ["mine 2", "open 2", "mine 1", "open 1", "mine 0", "open 0"]
        assert all(d.is_open for d in pages[0].datasets)
        for pid in (pid_for("theirs"), pid_for("theirs").replace("/", "%2F")):
            with pytest.raises(NotFound):
                await backend.get(pid, mine)
            with pytest.raises(NotFound):
                await backend.files(GetFiles(pid), mine)
        assert await backend.instruments() == ("I22", "ID11")
    assert not [line for line in panosc.api.asked if "files" in line], "nothing hidden is asked for"


async def test_only_what_the_specification_has_is_asked(panosc: Site) -> None:
    async with panosc.adapter() as backend:
        await backend.look()
        await backend.search(SearchQuery(text="silver", techniques=("PaNET01124",)), STRANGER)
        pid = (await backend.search(SearchQuery(limit=1), STRANGER)).datasets[0].pid
        await backend.files(GetFiles(pid), STRANGER)
    filters = [json.loads(text) for line in panosc.api.asked for text in parse_qs(line).get("filter", [])]
    filters += [
        json.loads(parse_qs(line.partition("?")[2])["filter"][0]) for line in panosc.api.asked if "filter=" in line
    ]
    assert filters
    assert {key for each in filters for key in each} == {"include", "limit", "skip"}


async def test_a_withdrawn_dataset_goes_at_once_and_a_deleted_one_with_the_look(panosc: Site) -> None:
    async with panosc.adapter() as backend:
        await backend.look()
        panosc.api.objects["Dataset"][0]["isPublic"] = False
        panosc.api.remove("Dataset", pid_for("mine 1"))
        panosc.api.objects["Document"][0]["title"] = "Grains"
        await backend.look()
        assert await titles(backend) == ["mine 2", "open 2", "open 1", "mine 0"]
        assert await titles(backend, text="grains") == ["open 2", "open 1"], "and what changed is found anew"
        panosc.api.objects["Document"][0]["isPublic"] = False
        await backend.look()
        assert [p.pid for p in (await backend.proposals(ProposalQuery(), STRANGER)).proposals] == ["P-mine"]
        assert {d.proposal for d in (await backend.search(SearchQuery(text="open"), STRANGER)).datasets} == {""}


async def test_a_dataset_of_two_proposals_is_found_by_each(panosc: Site) -> None:
    document = {"pid": "10.5072/paper", "title": "On silver", "isPublic": True, "type": "publication"}
    panosc.api.put("Document", **document)
    panosc.api.put("DocumentDataset", pid="x", documentId="10.5072/paper", datasetId=pid_for("open 1"))
    async with panosc.adapter() as backend:
        await backend.look()
        (found,) = (await backend.search(SearchQuery(proposals=("paper",)), STRANGER)).datasets
        assert (found.title, found.proposal) == ("open 1", "paper")
        assert (await backend.get(found.pid, STRANGER)).proposal == OPEN
        assert len(await titles(backend, proposals=(OPEN, "paper"))) == 3
        pages = [(await backend.proposals(ProposalQuery(text="silver"), STRANGER)).proposals]
        assert [(p.pid, p.kind, p.instruments) for p in pages[0]] == [("paper", "publication", ("I22",))]


async def test_proposals_say_who_takes_part(panosc: Site) -> None:
    async with panosc.adapter() as backend:
        await backend.look()
        found = (await backend.proposals(ProposalQuery(proposals=("P-mine",)), STRANGER)).proposals
        assert found[0].members == (Member("Ada Lovelace", "principal investigator", "", "0000-0001"),)
        panosc.api.put("Affiliation", id="a", name="ESS")
        panosc.api.objects["Member"][1]["affiliationId"] = "a"
        await backend.look()
        found = (await backend.proposals(ProposalQuery(proposals=("P-mine",)), STRANGER)).proposals
        assert found[0].members[0].affiliation == "ESS"


async def test_files_are_paged_and_counted(panosc: Site) -> None:
    listed = tuple(DataFile(f"raw/{n:02}", n) for n in range(20))
    record(panosc.api, Known("many", OPEN, files=listed))
    async with panosc.adapter() as backend:
        await backend.look()
        (found,) = (await backend.search(SearchQuery(text="many"), STRANGER)).datasets
        read, after = list[DataFile](), ""
        while not read or after:
            page = await backend.files(GetFiles(found.pid, 6, after), STRANGER)
            assert page.total == 20
            read += page.files
            after = page.next
        assert tuple(read) == listed
        for limit in (0, 101):
            with pytest.raises(InvalidRequest):
                await backend.files(GetFiles(found.pid, limit), STRANGER)
        panosc.api.remove("Dataset", pid_for("many"))
        with pytest.raises(NotFound):
            await backend.files(GetFiles(found.pid), STRANGER)


async def test_no_folder_is_open_unless_the_site_says_so(panosc: Site) -> None:
    async with panosc.adapter(all_open=False) as backend:
        await backend.look()
        assert await backend.open_proposals() == frozenset()
    async with panosc.adapter(types=("proposal",)) as backend:
        await backend.look()
        assert await backend.open_proposals() == {OPEN, "P-mine"}
    async with panosc.adapter(root=None) as backend:
        with pytest.raises(NotFound):
            await backend.locate(OPEN)


async def test_the_specifications_own_data(tmp_path: Path) -> None:
    """As its own API serves them: four datasets, a publication and a proposal, techniques with local numbers."""
    async with serving(PanoscApi(specification())) as base, adapter(base, tmp_path, proposal_prefix="") as backend:

        async def read() -> bool:
            return (await backend.search(SearchQuery(), STRANGER)).complete

        await eventually(read, "the API has been read")
        whole = (await backend.search(SearchQuery(), STRANGER)).datasets
        assert [d.pid for d in whole] == [f"20.500.12269%2Fpanosc-dataset{n}" for n in (1, 2, 3, 4)]
        assert [d.proposal for d in whole] == [f"10.5072/panosc-document{n}" for n in (1, 1, 2, 2)]
        assert len(await titles(backend, techniques=("PaNET01227",))) == 2
        assert len(await titles(backend, sample="copper cylinder")) == 4
        energies = {(p.name, p.value, p.unit) for d in whole for p in d.parameters}
        assert ("photon_energy", 930.0, "eV") in energies
        found = (await backend.proposals(ProposalQuery(), STRANGER)).proposals
        assert [p.kind for p in found] == ["publication", "proposal"]
        assert found[1].members == (
            Member("James Chadwick", "principal investigator", "ESS"), Member("John Smith", "owner", "ESS"),
        )  # fmt: skip
        files = await backend.files(GetFiles(whole[0].pid), STRANGER)
        assert [file.path for file in files.files] == ["panosc-file1.hdf"]


async def test_what_was_read_is_kept_over_a_restart_and_not_for_ever(panosc: Site) -> None:
    async with panosc.adapter() as backend:
        await backend.look()
    asked = len(panosc.api.asked)

    async def shows(backend: Any, expected: int) -> bool:
        return len(await titles(backend)) == expected

    panosc.api.instead = lambda _: _down()
    async with adapter(panosc.base, panosc.folder, reread_s=3600.0) as backend:
        await eventually(lambda: _noted(backend), "the first look has failed")
        page = await backend.search(SearchQuery(), STRANGER)
        assert (len(page.datasets), page.complete, page.note[-16:]) == (6, False, "this may be old.")
    async with adapter(panosc.base, panosc.folder, reread_s=3600.0, keep_s=0.001) as backend:
        await eventually(lambda: shows(backend, 0), "what is too old is forgotten")
        page = await backend.search(SearchQuery(), STRANGER)
        assert (page.complete, bool(page.note)) == (False, True)
    panosc.api.instead = lambda _: None
    async with adapter(panosc.base, panosc.folder, reread_s=3600.0, keep_s=0.5) as backend:
        await eventually(lambda: shows(backend, 6), "and read again")
        await eventually(lambda: _refused(backend), "what was read too long ago is not shown")
    assert len(panosc.api.asked) > asked


def _down() -> Any:
    from starlette.responses import Response

    return Response("<html>", 503)


async def _noted(backend: Any) -> bool:
    return "old" in (await backend.search(SearchQuery(), STRANGER)).note


async def _refused(backend: Any) -> bool:
    try:
        await backend.search(SearchQuery(), STRANGER)
    except BackendUnavailable:
        return True
    return False


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://api.example.eu/api"}, {"url": "ftp://x"}, {"url": "https://u:p@x"}, {"url": "https://x?y"},
        {"folder": "data"}, {"folder": "../{proposal}"}, {"page": 1}, {"page": 1001}, {"facility": "a:b"}, {"facility": "a&b"},
        {"timeout_s": 0}, {"reread_s": 0}, {"keep_s": 0}, {"surplus": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    assert PanoscSettings(url="https://api.example.eu/api/").url == "https://api.example.eu/api"
    with pytest.raises(ValidationError):
        PanoscSettings.model_validate({"url": "https://api.example.eu/api"} | wrong)


def test_what_check_says(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert list(adapter("https://x", tmp_path).faults()) == []
    assert [f.fatal for f in adapter("https://x", tmp_path, root=None).faults()] == [False]
    made = adapter("https://x", tmp_path, ca_file="none.pem", root="elsewhere")
    assert {f.setting for f in made.faults()} == {"ca_file", "root"}


def test_it_is_installed() -> None:
    assert find("catalogue", "panosc").settings is PanoscSettings
