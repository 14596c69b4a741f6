"""Tasks: they run to their end with nobody watching, and leave their results where the proposal's members find them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from facility_agent.adapters.compute import tasks
from facility_agent.core.mounting import facts, results_folder
from facility_agent.ports.compute import Mount
from facility_agent.testing.patience import eventually
from shared.errors import BackendUnavailable
from shared.facilities import CarriedBy, Environment, Software, UsedAs
from shared.workspaces import WorkspaceState
from tests.facility_scene import BEGIN, FacilityScene, refused, reported

S = WorkspaceState
REDUCTION: dict[str, Any] = {"environment": "reduction", "dataset": "d-1"}


def results(at: FacilityScene) -> list[Path]:
    return list((at.folder / "processed" / "P-1").iterdir())


async def ended(at: FacilityScene, workspace_id: str) -> Any:
    async def over() -> bool:
        await at.workspaces.look()
        return (await at.row(workspace_id)).state.is_final

    await eventually(over, "it has ended")
    return await at.row(workspace_id)


async def test_a_task_that_comes_to_its_end_says_where_its_results_are(at: FacilityScene) -> None:
    at.machine.ends = {"reduction": 0}
    workspace_id, answer = await at.launch(await at.ada(), **REDUCTION)
    assert reported(answer).state is S.STARTING
    row = await ended(at, workspace_id)
    day = datetime.fromtimestamp(BEGIN, UTC).date().isoformat()
    assert row.results == f"processed/P-1/reduction-{day}-{workspace_id[:8]}"
    assert (row.state, row.reason, row.message) == (S.ENDED, "FINISHED", f"Its results are in {row.results}.")
    (folder,) = results(at)
    told = json.loads((folder / "task.json").read_text())
    assert told == {
        "task": "reduction", "software": {"x": "1"}, "workspace": workspace_id, "proposals": ["P-1"],
        "folders": ["proposals/P-1", "processed/P-1"], "dataset": "d-1", "files": told["files"], "files_are_whole": True,
    }  # fmt: skip


async def test_it_is_seen_while_it_runs_and_opens_for_nobody(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada(), **REDUCTION)
    assert await at.workspaces.endpoint(await at.row(workspace_id)) is None
    assert len(at.machine.started) == 1


async def test_one_that_fails_says_where_its_words_are(at: FacilityScene) -> None:
    at.machine.ends = {"reduction": 3}
    workspace_id, _ = await at.launch(await at.ada(), **REDUCTION)
    row = await ended(at, workspace_id)
    assert (row.state, row.reason) == (S.FAILED, "EXITED")
    assert row.message.endswith(f"What it wrote is in {row.results}/log.txt.")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"proposals": ("P-2",), "dataset": "d-2"}, "NO_PLACE_FOR_RESULTS"), ({"proposals": ("P-open",), "dataset": ""}, "NO_PLACE_FOR_RESULTS"),
        ({"proposals": ("P-2", "P-1"), "dataset": ""}, "NO_PLACE_FOR_RESULTS"), ({"proposals": (), "dataset": ""}, "INVALID_REQUEST"),
    ],
    ids=str,
)  # fmt: skip
async def test_without_a_place_for_its_results_none_is_started(
    at: FacilityScene, changes: dict[str, Any], reason: str
) -> None:
    _, answer = await at.launch(await at.ada(), **{**REDUCTION, **changes})
    refused(answer, reason)
    assert (at.machine.started, at.rows()["workspace"], results(at)) == ([], [], [])


async def test_an_agent_that_died_before_it_began_starts_it_once_with_the_same_facts(at: FacilityScene) -> None:
    held = await at.ada()
    at.machine.down = True
    workspace_id, answer = await at.launch(held, **REDUCTION)
    assert reported(answer).state is S.STARTING
    await at.reopen()
    at.machine.down = False

    async def runs() -> bool:
        await at.workspaces.probed()
        await at.workspaces.look()
        at.now += 3.0
        return (await at.row(workspace_id)).state is S.RUNNING

    await eventually(runs, "it runs")
    assert at.machine.started == [workspace_id]
    (folder,) = results(at)
    assert json.loads((folder / "task.json").read_text())["dataset"] == "d-1"


class Away:
    """A catalogue that answers nothing about files for a while."""

    def __init__(self, shelf: Any) -> None:
        self._shelf, self.away = shelf, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shelf, name)

    async def files(self, *asked: Any) -> Any:
        if self.away:
            raise BackendUnavailable
        return await self._shelf.files(*asked)


async def test_while_the_catalogue_is_away_it_waits_and_is_started_once(at: FacilityScene) -> None:
    held = await at.ada()
    away = Away(at.shelf)
    at.workspaces._runs._catalogue._backend = away  # type: ignore[assignment]
    workspace_id, _ = await at.launch(held, **REDUCTION)
    await eventually(lambda: _settled(at), "the first start has given up")
    assert ((await at.row(workspace_id)).state, at.machine.started) == (S.STARTING, [])
    away.away = False

    async def runs() -> bool:
        await at.workspaces.look()
        return (await at.row(workspace_id)).state is S.RUNNING

    await eventually(runs, "it runs")
    assert at.machine.started == [workspace_id]


async def _settled(at: FacilityScene) -> bool:
    return not at.workspaces._runs._starting


def test_the_place_of_results_is_one_folder_whatever_the_names_are() -> None:
    place = results_folder("processed/P_1", "my/../task", ("P/1",), "12345678-0000", BEGIN)
    assert Path(place).parent == Path("processed/P_1")
    assert Path(place).name.startswith("my_.._task-")


def test_what_a_task_is_told_is_json_whatever_the_names_are() -> None:
    environment = Environment(
        "r", "R", "", UsedAs.TASK, CarriedBy.PROCESS, (Software("pyFAI", "1"),), ("s",), "s", "none"
    )
    files = ['a"b', "ü\n", "\ud800"]
    said = facts(environment, "w", ("P",), (Mount("P", Path("/x")),), "", files, whole=False)
    told = json.loads(said)
    assert (told["files"], told["dataset"], told["files_are_whole"]) == (files, None, False)


def test_a_folder_that_somebody_else_put_there_is_refused(tmp_path: Path) -> None:
    tasks.begin(tmp_path / "mine", '{"files": ["a"]}')
    (tmp_path / "mine" / "log.txt").write_text("words")
    tasks.begin(tmp_path / "mine", "{}")
    assert (tmp_path / "mine" / "task.json").read_text() == "{}"
    assert (tmp_path / "mine" / "log.txt").read_text() == "words", "what runs is not begun again"
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(OSError, match=r"exists|somebody else's"):
            tasks.begin(tmp_path / name, "{}")
    (tmp_path / "mine" / "log.txt").unlink()
    (tmp_path / "mine" / "log.txt").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic links"):
        tasks.log_of(tmp_path / "mine")
    assert (tmp_path / "file").read_text() == ""


def test_results_are_for_the_group_of_their_folder(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = tasks.begin(tmp_path / "mine", "{}")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    modes: Sequence[int] = [
        made.stat().st_mode & 0o777,
        *((made / n).stat().st_mode & 0o777 for n in ("task.json", "log.txt")),
    ]
    assert modes == [0o770, 0o660, 0o660]
