"""The adapter over SciCat's stand-in: whose eyes it reads with, and what it makes of what it sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from facility_agent.adapters.catalogue.scicat_settings import ScicatSettings
from facility_agent.adapters.site_settings import secret
from facility_agent.plugins import find
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.testing.catalogue_world import ADA, Known
from shared.catalogue import ArchiveState, DataFile, ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendUnavailable, InvalidRequest, NotFound, Unsupported
from tests.contracts.scicat_worlds import OPEN, adapter, pid_for, record, settings
from tests.scicat_site import ME, Site, of, scicat, shown, titles
from tests.standins.scicat.world import lifecycle

__all__ = ["scicat"]


async def test_a_stranger_is_nobody_to_scicat(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        assert await titles(backend, STRANGER) == ["open 2", "open 1", "open 0"]
        await backend.get(shown("open 1"), STRANGER)
        await backend.proposals(ProposalQuery(), STRANGER)
        await backend.files(GetFiles(shown("open 1")), STRANGER)
        await backend.instruments()
    assert scicat.world.asked
    assert not [asked for asked in scicat.world.asked if asked[2]], "no token was used, and none fetched"
    assert not scicat.asked("/api/v3/auth/login")


async def test_a_person_sees_their_own_and_what_is_open(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        assert set(await titles(backend, ME)) == {f"{whose} {n}" for whose in ("open", "mine") for n in range(3)}
        with pytest.raises(NotFound):
            await backend.get(shown("theirs 1"), ME)
        with pytest.raises(NotFound):
            await backend.files(GetFiles(shown("theirs 1")), ME)
        assert (await backend.files(GetFiles(shown("mine 1")), ME)).files == (DataFile("one.dat", 1),)
    assert not [line for _, line, _ in scicat.world.asked if '"ada"' in unquote(line)], (
        "no account is named to SciCat"
    )


async def test_one_who_shares_an_address_gets_nothing_for_it(scicat: Site) -> None:
    of(scicat, "theirs 1").update(ownerEmail="ada@example.org", sharedWith=["ada@example.org"], owner="ada")
    async with scicat.adapter() as backend:
        assert "theirs 1" not in await titles(backend, ME)


async def test_the_owner_group_may_name_the_proposal(scicat: Site) -> None:
    for row in scicat.world.datasets:
        row["proposalIds"] = []
    async with scicat.adapter(proposal="ownerGroup", group_prefix="g-") as backend:
        page = await backend.search(SearchQuery(), ME)
        assert {d.proposal for d in page.datasets} == {"P-mine", OPEN}
        assert await titles(backend, ME, proposals=("P-mine", "P-theirs")) == ["mine 2", "mine 1", "mine 0"]
        assert await titles(backend, Reader(ADA, frozenset({"g-P-mine"}))) == await titles(backend, STRANGER)
        assert await backend.open_proposals() == {OPEN}


async def test_a_proposal_is_open_only_when_all_its_datasets_are(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        assert await backend.open_proposals() == {OPEN}
        record(scicat.world, Known("secret", OPEN))
        of(scicat, "secret")["isPublished"] = False
        assert await backend.open_proposals() == set()
        scicat.world.remove(pid_for("secret"))
        assert await backend.open_proposals() == {OPEN}


async def test_the_archives_state_is_told(scicat: Site) -> None:
    of(scicat, "open 1")["datasetlifecycle"] = lifecycle(isOnCentralDisk=False, retrievable=True)
    of(scicat, "open 2")["datasetlifecycle"] = lifecycle(
        isOnCentralDisk=False, retrievable=True, retrieveStatusMessage="coming"
    )
    async with scicat.adapter(restoring=["coming"]) as backend:
        found = (await backend.search(SearchQuery(), STRANGER)).datasets
        assert [d.state for d in found] == [ArchiveState.RESTORING, ArchiveState.ARCHIVED, ArchiveState.ONLINE]


async def test_too_many_proposals_are_refused_before_anything_is_asked(scicat: Site) -> None:
    many = Reader(ADA, frozenset(f"proposal-{n:06}" for n in range(2000)))
    async with scicat.adapter() as backend:
        with pytest.raises(InvalidRequest):
            await backend.search(SearchQuery(), many)
        assert not scicat.asked("/api/v4/datasets")
        mine = replace(many, proposals=many.proposals | {"P-mine"})
        assert await titles(backend, mine, proposals=("P-mine",)) == ["mine 2", "mine 1", "mine 0"]


async def test_one_dataset_is_answered_however_many_proposals_somebody_has(scicat: Site) -> None:
    many = Reader(ADA, frozenset(f"proposal-{n:06}" for n in range(2000)) | {"P-mine"})
    async with scicat.adapter() as backend:
        for title in ("mine 1", "open 1"):
            assert (await backend.get(shown(title), many)).title == title
            await backend.files(GetFiles(shown(title)), many)
        for ask in (
            lambda: backend.get(shown("theirs 1"), many),
            lambda: backend.files(GetFiles(shown("theirs 1")), many),
        ):
            with pytest.raises(NotFound):
                await ask()
        looked = scicat.asked("/api/v4/origdatablocks") + scicat.asked("/api/v4/origdatablocks/public")
        hidden = pid_for("theirs 1").partition("/")[2]
        assert len(looked) == 2
        assert not any(hidden in line for line, _ in looked)


async def test_a_pid_that_is_no_text_names_nothing(scicat: Site) -> None:
    async with scicat.adapter() as backend:
        for pid in ("%FF", "%ff%2F", "a%C3", "%00", "a%", "%2f"):
            for reader in (ME, STRANGER):
                for ask in (lambda: backend.get(pid, reader), lambda: backend.files(GetFiles(pid), reader)):  # noqa: B023
                    with pytest.raises(NotFound):
                        await ask()
    assert not scicat.asked("/api/v4/datasets")
    assert not scicat.asked("/api/v4/datasets/public")


async def test_files_that_are_too_many_or_lead_elsewhere(scicat: Site) -> None:
    blocks = next(b for b in scicat.world.blocks if b["datasetId"] == pid_for("open 1"))
    blocks["dataFileList"] = [
        {"path": path, "size": 1} for path in ("b", "/elsewhere/P-open/a", "/etc/passwd", "../x", "b")
    ]
    async with scicat.adapter() as backend:
        page = await backend.files(GetFiles(shown("open 1")), STRANGER)
        assert ([f.path for f in page.files], page.total) == (["a", "b"], 2)
        of(scicat, "open 1")["numberOfFiles"] = 10**7
        with pytest.raises(Unsupported):
            await backend.files(GetFiles(shown("open 1")), STRANGER)
        for limit in (0, 101):
            with pytest.raises(InvalidRequest):
                await backend.files(GetFiles(shown("open 1"), limit), STRANGER)


async def test_a_proposals_folder_is_below_the_root_or_nowhere(scicat: Site) -> None:
    outside = scicat.folder / "outside"
    outside.mkdir()
    (scicat.folder / "data" / "P-out").symlink_to(outside)
    (scicat.folder / "data" / "P-all").symlink_to(".")
    (scicat.folder / "data" / "P-loop").symlink_to("P-loop")
    (scicat.folder / "data" / "P-file").write_text("")
    (scicat.folder / "data" / "2024").mkdir()
    (scicat.folder / "data" / "2024" / "P-good").mkdir()
    (scicat.folder / "data" / "P-good").symlink_to("2024/P-good")
    async with scicat.adapter() as backend:
        found = await backend.locate("P-good")
        assert found.folder == (scicat.folder / "data" / "2024" / "P-good").resolve()
        for name in (
            "P-out",
            "P-all",
            "P-loop",
            "P-file",
            "..",
            ".",
            "",
            "2024/P-good",
            "x" * 100,
            "é" * 100,
            "{proposal}",
        ):
            with pytest.raises(NotFound):
                await backend.locate(name)
    async with scicat.adapter(folder="2024/{proposal}") as backend:
        assert (await backend.locate("P-good")).folder.name == "P-good"
    async with scicat.adapter(root=None) as backend:
        with pytest.raises(NotFound):
            await backend.locate("P-good")
    async with scicat.adapter(root=scicat.folder / "not mounted") as backend:
        with pytest.raises(BackendUnavailable):
            await backend.locate("P-good")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://scicat.example.eu"}, {"url": "ftp://x"}, {"url": "https://u:p@x"}, {"url": "https://x?y"},
        {"folder": "data"}, {"folder": "../{proposal}"}, {"folder": "/x/{proposal}"}, {"folder": "{proposal}/raw"},
        {"sample": "a.b"}, {"parameters": ["$where"]}, {"group_prefix": "g-"}, {"reading_groups": []}, {"proposal": "x"},
        {"timeout_s": 0}, {"surplus": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_settings_that_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    good = settings("https://scicat.example.eu", tmp_path).model_dump()
    with pytest.raises(ValidationError):
        ScicatSettings.model_validate(good | wrong)


def test_what_check_says(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert list(adapter("https://scicat.example.eu", tmp_path).faults()) == []
    assert [f.fatal for f in adapter("https://scicat.example.eu", tmp_path, root=None).faults()] == [False]
    made = adapter("https://scicat.example.eu", tmp_path, ca_file="none.pem", root="elsewhere")
    (tmp_path / "password").chmod(0o644)
    assert {f.setting for f in made.faults()} == {"password_file", "ca_file", "root"}
    (tmp_path / "password").unlink()
    with pytest.raises(OSError, match="password"):
        secret(tmp_path / "password")
    assert "password" in next(iter(made.faults())).what


def test_it_is_installed() -> None:
    assert find("catalogue", "scicat").settings is ScicatSettings
