"""Places: the grammar, what leads out of a root, and mounts by the site's rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facility_agent.adapters.places.rules import SitePlaces
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.whereabouts import whereabouts
from facility_agent.places.settings import PlaceTable
from facility_agent.places.template import Rule, parse
from facility_agent.ports.catalogue import Reader
from facility_agent.ports.places import Whereabouts
from facility_agent.testing.catalogue_world import ADA
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Dataset, Proposal, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.errors import BackendUnavailable, NotFound, ProposalDenied

IN_2024 = 1_720_000_000.0
SYLVESTER = 1_735_689_600.0  # 2025 begins, by Greenwich


def made(template: str, proposal: str = "MX-1", separator: str = "", **facts: tuple[object, ...]) -> list[str]:
    return parse(template, separator).paths(Whereabouts(proposal, **facts), {"Long name": "short"})  # type: ignore[arg-type]


def test_a_template_makes_every_path_that_the_facts_allow() -> None:
    facts: dict[str, tuple[object, ...]] = {"instruments": ("I22", "Long name"), "years": (2024, 2025)}
    assert made("{instrument:lower}/{year}/{proposal}", **facts) == [
        "i22/2024/MX-1", "i22/2025/MX-1", "short/2024/MX-1", "short/2025/MX-1",
    ]  # fmt: skip
    assert made("visitor/{proposal:lower:plain}/raw") == ["visitor/mx1/raw"]
    assert made("{code}/v-{visit}", "mx-23694-1", "-") == ["mx-23694/v-1"]


def test_a_fact_that_is_missing_makes_no_path() -> None:
    assert made("{year}/{proposal}") == []
    assert made("{instrument}/{proposal}", years=(2024,)) == []
    assert made("{code}/{visit}", "mx23694", "-") == []


@pytest.mark.parametrize(
    "template",
    [
        "", "/", "/data/{proposal}", "{proposal}/", "a//{proposal}", "../{proposal}", "./{proposal}", "a/../{proposal}",
        ".x/{proposal}", "{instrument}", "{year}/all", "{instrument}{proposal}", "{proposal}-{year}", "{propsal}", "{proposal",
        "{proposal}}", "{{proposal}}", "{proposal:up}", "{proposal:}", "{PROPOSAL}", "{code}/x", "{code}/{visit}", "{proposal}\0",
        "{proposal} ", "~/{proposal}", "{proposal}/{0}", "{proposal.__class__}", "%s/{proposal}", "{proposal}\n",
    ],
)  # fmt: skip
def test_whatever_is_no_template_is_refused_in_one_sentence(template: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(template)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "/",
        "..",
        ".",
        "a/b",
        "../etc",
        "/etc",
        "a\0b",
        "\0",
        ".hidden",
        " a",
        "a\n",
        "x" * 256,
        "a/../b",
        "\ud800/",
    ],
)
def test_a_value_that_is_no_folders_name_makes_no_path(bad: str) -> None:
    assert made("{proposal}", bad) == []
    assert made("{instrument}/{proposal}", instruments=(bad,)) == []
    assert made("{code}/{visit}", f"{bad}+1", "+") == []
    assert made("{code}/{visit}", f"1+{bad}", "+") == []


TEXT = st.text(st.characters(exclude_categories=[]), max_size=12)


@given(
    TEXT,
    st.lists(TEXT, max_size=3),
    st.lists(st.integers(1, 9999), max_size=3),
    st.sampled_from(["", "-", "/", ".."]),
)
def test_no_value_makes_a_path_that_leads_up_or_elsewhere(
    proposal: str, instruments: list[str], years: list[int], separator: str
) -> None:
    template = "{instrument:lower}/{year}/x-{proposal}" if not separator else "{code:plain}/{visit}/{instrument}"
    about = Whereabouts(proposal, tuple(instruments), tuple(years))
    for path in parse(template, separator).paths(about, {}):
        parts = path.split("/")
        assert len(parts) == 3
        assert not {"", ".", ".."} & set(parts)
        assert "\0" not in path


@given(st.text("ab-", min_size=1, max_size=6), st.text("ab-", min_size=1, max_size=6))
def test_two_proposals_never_share_a_path(one: str, other: str) -> None:
    for template, separator in (("r-{proposal}/d", ""), ("{code}/{visit}", "-")):
        shared = {*made(template, one, separator)} & {*made(template, other, separator)}
        assert not shared or one == other


def places(root: Path, path: str = "{proposal}", **titles: str) -> SitePlaces:
    return SitePlaces([Rule(root, parse(path), titles)])


async def test_only_what_is_there_and_stays_below_the_root_is_found(tmp_path: Path) -> None:
    root, outside = tmp_path / "data", tmp_path / "secret"
    for folder in (root / "P-1", root / "real" / "P-2", outside):
        folder.mkdir(parents=True)
    (root / "P-2").symlink_to("real/P-2")
    (root / "P-out").symlink_to(outside)
    (root / "P-up").symlink_to("..")
    (root / "P-root").symlink_to(".")
    (root / "P-loop").symlink_to("P-loop")
    (root / "P-file").write_text("no folder")
    found = {
        p: await places(root).find(Whereabouts(p))
        for p in ("P-1", "P-2", "P-out", "P-up", "P-root", "P-loop", "P-file")
    }
    assert {p: list(f) for p, f in found.items() if f} == {"P-1": [root / "P-1"], "P-2": [root / "real" / "P-2"]}


async def test_folders_within_each_other_are_mounted_once(tmp_path: Path) -> None:
    (tmp_path / "P-1" / "raw").mkdir(parents=True)
    rules = [Rule(tmp_path, parse(path), {}) for path in ("{proposal}/raw", "{proposal}", "{proposal}")]
    assert await SitePlaces(rules).find(Whereabouts("P-1")) == [tmp_path / "P-1"]


async def test_a_root_that_is_away_is_not_the_absence_of_data(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable) as away:
        await places(tmp_path / "not-mounted").find(Whereabouts("P-1"))
    assert str(tmp_path) not in away.value.message


class NoPaths(MemoryCatalogue):
    """A catalogue that knows no path at all."""

    async def locate(self, proposal: str) -> object:  # type: ignore[override]
        raise AssertionError("it is not asked")


class Rules:
    async def may_use(self, account: object) -> bool:
        return True

    async def proposals(self, account: object) -> frozenset[str]:
        return frozenset({"P-1", "P-none", "../etc"})


def catalogue(root: Path, path: str) -> Catalogue:
    backend = NoPaths({"P-open"})
    ours = Dataset("d", "T", "P-1", "I22", "", "", IN_2024, None, 1, 1, is_open=False)
    backend.put(
        [
            ours,
            replace(ours, pid="e", instrument="I11"),
            replace(ours, pid="o", proposal="P-open", started=SYLVESTER),
        ]
    )
    return Catalogue(backend, Rules(), places(root, path))  # type: ignore[arg-type]


async def test_a_catalogue_without_paths_can_be_mounted_by_the_sites_rules(tmp_path: Path) -> None:
    for path in ("i22/2024/P-1", "i11/2024/P-1", "i11/2023/P-1", "i22/2024/P-open"):
        (tmp_path / path).mkdir(parents=True)
    ours = catalogue(tmp_path, "{instrument:lower}/{year}/{proposal}")
    found = await ours.locate(("P-1", "P-open"), ADA)
    assert [(place.proposal, str(place.folder.relative_to(tmp_path))) for place in found] == [
        ("P-1", "i11/2024/P-1"), ("P-1", "i22/2024/P-1"), ("P-open", "i22/2024/P-open"),
    ]  # fmt: skip


async def test_access_comes_before_places(tmp_path: Path) -> None:
    (tmp_path / "P-theirs").mkdir()
    ours = catalogue(tmp_path, "{proposal}")
    with pytest.raises(ProposalDenied):
        await ours.locate(("P-theirs",), ADA)
    for proposal in ("P-none", "../etc"):
        with pytest.raises(NotFound) as gone:
            await ours.locate((proposal,), ADA)
        assert str(tmp_path) not in gone.value.message


async def test_a_link_that_is_changed_to_lead_out_is_refused_from_then_on(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "v1").mkdir(parents=True)
    (root / "P-1").symlink_to("v1")
    ours = catalogue(root, "{proposal}")
    assert [place.folder for place in await ours.locate(("P-1",), ADA)] == [root / "v1"]
    (root / "P-1").unlink()
    (root / "P-1").symlink_to("/etc")
    with pytest.raises(NotFound):
        await ours.locate(("P-1",), ADA)


def test_settings_refuse_what_could_not_work() -> None:
    good = {"root": "/data", "path": "{proposal}"}
    assert PlaceTable.model_validate(good).rule().root == Path("/data")
    for wrong in (
        {"root": "data"}, {"path": "{instrument}"}, {"titles": {"I22": "../x"}}, {"titles": {"I22": ""}}, {"more": 1},
        {"path": "{code}/{visit}"},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            PlaceTable.model_validate(good | wrong)


class Proposals(NoPaths):
    """A catalogue whose proposals' records say this."""

    def __init__(self, **said: Any) -> None:
        super().__init__(frozenset())
        self.said, self.searched = said, 0

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        return ProposalPage((Proposal("P-1", **self.said),) if query.proposals == ("P-1",) else ())

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        self.searched += 1
        return await super().search(query, reader)


@pytest.mark.parametrize(
    ("said", "instruments", "years", "asks"),
    [
        ({}, ("I11", "I22"), (2024, 2025), True),
        ({"instruments": ("I99",)}, ("I99", "I11", "I22"), (2024, 2025), True),
        ({"started": IN_2024 - 366 * 86_400}, ("I11", "I22"), (2023, 2024, 2025), True),
        ({"instruments": ("I99",), "started": IN_2024, "ended": IN_2024}, ("I99",), (2024,), False),
        ({"instruments": ("I99",), "started": -1e300, "ended": 1e300}, ("I99",), (), False),
        ({"instruments": ("I99",), "started": 0.0, "ended": 1e11}, ("I99",), tuple(range(1969, 1990)), False),
    ],
)
async def test_a_proposal_that_says_little_is_known_by_its_datasets(
    said: dict[str, Any], instruments: tuple[str, ...], years: tuple[int, ...], asks: bool
) -> None:
    backend = Proposals(**said)
    ours = Dataset("d", "T", "P-1", "I22", "", "", IN_2024, None, 1, 1, is_open=False)
    theirs = replace(ours, pid="t", proposal="P-2", instrument="I00", started=0.0)
    backend.put([ours, replace(ours, pid="e", instrument="I11", started=SYLVESTER), theirs])
    about = await whereabouts(backend, "P-1", Reader(ADA, frozenset({"P-1"})))
    assert (about.instruments, about.years) == (instruments, years)
    assert bool(backend.searched) is asks


async def test_the_search_for_facts_is_bounded() -> None:
    backend = Proposals()
    ours = Dataset("d", "T", "P-1", "I22", "", "", IN_2024, None, 1, 1, is_open=False)
    backend.put([replace(ours, pid=f"{n:05}") for n in range(1200)])
    await whereabouts(backend, "P-1", Reader(ADA, frozenset({"P-1"})))
    assert backend.searched == 5
