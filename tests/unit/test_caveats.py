"""Starting from a proposal, with no dataset named: it starts, and says what is not there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.catalogue import ArchiveState, SearchPage, SearchQuery
from shared.errors import BackendUnavailable
from shared.limits import LIMITS
from shared.workspaces import StepName
from tests.facility_scene import FacilityScene, dataset, refused, reported


async def said(at: FacilityScene, **changes: Any) -> str:
    """What a launch that goes on says of its data; nothing else says anything."""
    _, answer = await at.launch(await at.ada(), **changes)
    report = reported(answer)
    details = {step.name: step.detail for step in report.steps}
    assert not any(detail for name, detail in details.items() if name is not StepName.DATA)
    return details[StepName.DATA]


@pytest.fixture(autouse=True)
def filled(at: FacilityScene) -> None:
    for proposal in ("P-1", "P-2"):
        (at.folder / proposal / "file").write_text("x")


async def test_all_that_is_there_needs_no_word(at: FacilityScene) -> None:
    assert await said(at) == ""
    assert await said(at, proposals=()) == ""


async def test_what_is_in_the_archive_is_counted(at: FacilityScene) -> None:
    at.shelf.put([replace(dataset(f"m-{n}", "P-2"), state=state) for n, state in enumerate(ArchiveState)])
    at.shelf.put([replace(dataset("others", "P-3"), state=ArchiveState.ARCHIVED)])
    told = "In the archive, and so not on disk: 2 of 6 datasets."
    assert await said(at, proposals=("P-1", "P-2")) == told
    assert await said(at) == ""


async def test_a_long_proposal_is_looked_at_in_part_and_that_is_said(at: FacilityScene) -> None:
    asked: list[SearchQuery] = []
    at.shelf.put([replace(dataset(f"m-{n:03}", "P-1"), state=ArchiveState.ARCHIVED) for n in range(150)])
    search = at.shelf.search

    async def counted(query: SearchQuery, reader: Any) -> SearchPage:
        asked.append(query)
        return await search(query, reader)

    at.shelf.search = counted  # type: ignore[method-assign]
    told = f"In the archive, and so not on disk: {LIMITS.page} of the newest {LIMITS.page} datasets."
    assert await said(at) in (told, told.replace("100 of", "99 of"))
    assert len(asked) == 1


async def test_who_starts_from_a_dataset_is_not_told_of_others(at: FacilityScene) -> None:
    at.shelf.put([replace(dataset("m", "P-1"), state=ArchiveState.ARCHIVED)])
    assert await said(at, dataset="d-1") == ""


async def test_an_empty_folder_is_not_silent(at: FacilityScene) -> None:
    (at.folder / "P-1" / "file").unlink()
    assert await said(at, proposals=("P-1", "P-2")) == "Nothing lies in P-1."


@pytest.mark.parametrize("fault", [BackendUnavailable(), RuntimeError("an adapter's fault"), None], ids=str)
async def test_what_cannot_be_told_keeps_nothing_from_starting(
    at: FacilityScene, fault: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "facility_agent.core.caveats")
    monkeypatch.setattr("facility_agent.core.caveats.WITHIN", 0.05)

    async def fails(query: SearchQuery, reader: Any) -> SearchPage:
        if fault is None:
            await asyncio.Event().wait()
        assert fault is not None
        raise fault

    at.shelf.search = fails  # type: ignore[method-assign]
    assert await said(at) == ""
    await at.running(await at.held())


async def test_a_folder_that_cannot_be_looked_into_is_not_called_empty(at: FacilityScene) -> None:
    (at.folder / "P-1" / "file").unlink()
    (at.folder / "P-1").chmod(0o300)
    try:
        assert await said(at) == ""
    finally:
        (at.folder / "P-1").chmod(0o755)


async def test_a_proposal_without_a_place_is_refused_by_name(at: FacilityScene) -> None:
    at.shelf._folders.pop("P-2")
    _, answer = await at.launch(await at.ada(), proposals=("P-1", "P-2"))
    refused(answer, "NOT_FOUND")
    assert answer.problem is not None
    assert answer.problem.message == "The data of P-2 are not on this facility's disks."
    assert answer.problem.metadata == {"proposal": "P-2"}
    assert at.machine.started == []


async def test_the_word_stays_with_the_workspace(at: FacilityScene) -> None:
    at.shelf.put([replace(dataset("m", "P-1"), state=ArchiveState.ARCHIVED)])
    workspace_id = await at.running(await at.ada())
    last = at.reports(workspace_id)[-1]
    assert {step.name: step.detail for step in last.steps}[StepName.DATA] == (
        "In the archive, and so not on disk: 1 of 2 datasets."
    )
