"""Mounts: what a site shows beside the proposals, to whom, and under which name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from facility_agent.adapters.compute import packages
from facility_agent.adapters.compute.supervisor import show
from facility_agent.adapters.places.rules import SitePlaces
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.mounting import shown
from facility_agent.places.settings import MountTable
from facility_agent.places.template import Rule, parse
from facility_agent.ports.catalogue import Location
from facility_agent.ports.compute import Mount
from facility_agent.ports.places import MountRule
from facility_agent.testing.catalogue_world import ADA
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Dataset
from shared.errors import BackendUnavailable


class Rules:
    """Ada is a member of P-1 and P-2."""

    async def may_use(self, account: object) -> bool:
        return True

    async def proposals(self, account: object) -> frozenset[str]:
        return frozenset({"P-1", "P-2"})


def table(root: Path, path: str, name: str = "processed", *, writable: bool = True) -> MountRule:
    said = MountTable(root=root, path=path, name=name, writable=writable)
    rule = said.rule()
    return MountRule(name, not writable, rule.template.of_proposals, SitePlaces([rule]))


def catalogue(root: Path, *rules: MountRule) -> Catalogue:
    backend = MemoryCatalogue({"P-open"})
    one = Dataset("d", "T", "P-1", "I22", "", "", 1_720_000_000.0, None, 1, 1, is_open=False)
    backend.put([one, replace(one, pid="e", proposal="P-2"), replace(one, pid="o", proposal="P-open")])
    for name in ("P-1", "P-2", "P-open"):
        folder = root / "data" / name
        folder.mkdir(parents=True)
    places = SitePlaces([Rule(root / "data", parse("{proposal}"), {})])
    return Catalogue(backend, Rules(), places, mounts=rules)


async def mounts(ours: Catalogue, *proposals: str) -> dict[str, tuple[Path, bool]]:
    return {m.place: (m.folder, m.read_only) for m in shown(await ours.locate(proposals, ADA)).mounts}


async def test_each_own_proposal_has_its_folder_and_what_is_nobodys_is_there_once(tmp_path: Path) -> None:
    for path in ("p/P-1/out", "p/P-2/out", f"s/{ADA.username}", "s/somebody", "soft"):
        (tmp_path / path).mkdir(parents=True)
    ours = catalogue(
        tmp_path, table(tmp_path / "p", "{proposal}/out"), table(tmp_path / "s", "{username}", "scratch"),
        table(tmp_path, "soft", "software", writable=False),
    )  # fmt: skip
    assert await mounts(ours, "P-2", "P-1") == {
        "proposals/P-2": (tmp_path / "data/P-2", True), "proposals/P-1": (tmp_path / "data/P-1", True),
        "processed/P-2": (tmp_path / "p/P-2/out", False), "processed/P-1": (tmp_path / "p/P-1/out", False),
        "scratch": (tmp_path / "s" / ADA.username, False), "software": (tmp_path / "soft", True),
    }  # fmt: skip


async def test_nothing_of_a_proposal_that_is_only_open(tmp_path: Path) -> None:
    (tmp_path / "p" / "P-open").mkdir(parents=True)
    ours = catalogue(tmp_path, table(tmp_path / "p", "{proposal}"))
    assert await mounts(ours, "P-open") == {"proposals/P-open": (tmp_path / "data/P-open", True)}


async def test_what_is_not_there_or_leads_elsewhere_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "P-1").symlink_to(tmp_path)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ADA.username).symlink_to("/etc")
    ours = catalogue(tmp_path, table(tmp_path / "p", "{proposal}"), table(tmp_path / "s", "{username}", "scratch"))
    assert set(await mounts(ours, "P-1", "P-2")) == {"proposals/P-1", "proposals/P-2"}
    gone = catalogue(tmp_path / "again", table(tmp_path / "away", "{proposal}"))
    with pytest.raises(BackendUnavailable):
        await mounts(gone, "P-1")


async def test_an_account_whose_name_is_no_folders_name_has_none(tmp_path: Path) -> None:
    (tmp_path / "s" / "x").mkdir(parents=True)
    ours = catalogue(tmp_path, table(tmp_path / "s", "{username}", "scratch"))
    found = await ours.locate(("P-1",), replace(ADA, username="../s/x"))
    assert [m.place for m in shown(found).mounts] == ["proposals/P-1"]


def test_two_folders_of_one_name_are_both_shown() -> None:
    made = shown([
        Location("P/1", Path("/a")), Location("P:1", Path("/b")), Location("P/1", Path("/c"), "processed", read_only=False),
        Location("", Path("/s"), "software"), Location("", Path("/t"), "software"),
    ]).mounts  # fmt: skip
    assert made == (
        Mount("P_1", Path("/a")), Mount("P_1-2", Path("/b")), Mount("P_1", Path("/c"), read_only=False, within="processed"),
        Mount("software", Path("/s"), within=""), Mount("software-2", Path("/t"), within=""),
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "proposals"}, {"name": "a/b"}, {"name": ".."}, {"name": ""}, {"name": "Über"}, {"path": "{year}/x"},
        {"path": "{instrument}"}, {"path": "../x"}, {"path": "{username}{proposal}"}, {"path": "{home}/x"}, {"root": "data"},
        {"path": "{code}/x", "separator": "-"},
    ],
)  # fmt: skip
def test_settings_refuse_what_could_not_work(wrong: dict[str, str]) -> None:
    good = {"root": "/data", "path": "{proposal}", "name": "processed"}
    assert MountTable.model_validate(good).writable is False
    with pytest.raises(ValidationError):
        MountTable.model_validate(good | wrong)


def test_a_folder_is_shown_in_the_place_of_an_empty_one_and_never_of_a_full_one(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    for target in ("/usr", "/tmp"):
        show(tmp_path / "scratch", target)
    show(tmp_path / "processed" / "P-1", "/usr")
    assert ((tmp_path / "scratch").readlink(), (tmp_path / "processed/P-1").readlink()) == (
        Path("/tmp"), Path("/usr"),
    )  # fmt: skip
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(OSError, match="not empty"):
        show(tmp_path / "full", "/usr")


def test_own_packages_are_closed_to_others_and_said_by_their_variables(tmp_path: Path) -> None:
    own = packages.prepared(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (own["PYTHONUSERBASE"], own["PIP_USER"]) == (str(tmp_path / "a/b"), "1")
    assert (packages.after("/bin", own), packages.after("/bin", {})) == (f"/bin:{tmp_path}/a/b/bin", "/bin")
