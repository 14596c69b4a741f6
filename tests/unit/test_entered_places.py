"""Entered places: what a path must be, what is never allowed, and what follows from one that is."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import struct
import uuid
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facility_agent.adapters.places.entered import EnteredFolders
from facility_agent.adapters.places.readable import ENTER, READ, Rights, permits, rights_of
from facility_agent.core.entered import FORGOTTEN, MOST, parsed
from facility_agent.places.settings import ArchiveTable
from facility_agent.ports.directory import Account
from facility_agent.ports.store import EnteredRow, LinkRow, Transaction
from facility_agent.testing.accounts_world import Person
from shared.catalogue import ArchiveState, Dataset
from shared.commands import GetDataset, Verb
from shared.errors import (
    AccountNotLinked,
    BackendUnavailable,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    Unsupported,
)
from shared.workspaces import WorkspaceState
from tests.facility_scene import ADA, BEN, FacilityScene, Held, refused

ACCOUNT = Account("ada", "id-1", 4001, 4001, (4002,), Path("/home/ada"))
ANY = 0xFFFFFFFF


def listed(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# --- the path, pure


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "data/x", "./x", "~/x", "//server/x", "/a/../b", "/..", "/a/..", "/a\nb", "/a\n", "/a\rb", "/a\0", "/a\tb", "/\x1b[2J",
        "/a\u202eb", "/a\u2028b", "/\ud800", "/a\u00a0b", "/" + "x" * 10_240, "file:///a", "C:\\data",
    ],
)  # fmt: skip
def test_what_is_no_plain_absolute_path_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parsed(text)
    assert "\n" not in refusal.value.message
    assert not text.strip() or text not in refusal.value.message


def test_blanks_around_a_pasted_path_are_none_of_it() -> None:
    assert parsed("  /data/my set/é ") == PurePosixPath("/data/my set/é")


@given(st.text(max_size=40))
def test_no_text_makes_a_path_that_leads_up_or_is_not_absolute(text: str) -> None:
    try:
        path = parsed(text)
    except InvalidRequest:
        return
    assert path.is_absolute()
    assert ".." not in path.parts
    assert str(path).isprintable()


@pytest.mark.parametrize("bad", ["", "relative", "/", "/data/../etc"])
def test_a_root_is_an_absolute_folder(bad: str) -> None:
    with pytest.raises(ValidationError, match="entered_below"):
        ArchiveTable(entered_below=(Path(bad),))


# --- whether an account may read, pure


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "may"),
    [
        (0o755, 0, 0, True), (0o750, 0, 0, False), (0o750, 0, 4002, True), (0o750, 0, 4001, True), (0o700, 4001, 0, True),
        (0o700, 0, 4001, False), (0o077, 4001, 4001, False), (0o705, 0, 4002, False), (0o744, 0, 0, False), (0o711, 0, 0, False),
    ],
)  # fmt: skip
def test_a_mode_is_read_as_the_kernel_reads_it(mode: int, uid: int, gid: int, may: bool) -> None:
    assert permits(Rights(mode, uid, gid), ACCOUNT, READ | ENTER) is may


@pytest.mark.parametrize(
    ("acl", "may"),
    [
        (listed((1, 7, ANY), (2, 5, 4001), (4, 0, ANY), (16, 5, ANY), (32, 0, ANY)), True),
        (listed((1, 7, ANY), (2, 5, 4001), (4, 0, ANY), (16, 1, ANY), (32, 7, ANY)), False),
        (listed((1, 7, ANY), (2, 0, 4001), (4, 0, ANY), (8, 7, 4002), (16, 7, ANY), (32, 7, ANY)), False),
        (listed((1, 7, ANY), (4, 0, ANY), (8, 5, 4002), (16, 7, ANY), (32, 0, ANY)), True),
        (listed((1, 7, ANY), (4, 0, ANY), (8, 4, 4002), (8, 1, 4001), (16, 7, ANY), (32, 7, ANY)), False),
        (listed((1, 7, ANY), (2, 5, 4999), (4, 0, ANY), (16, 7, ANY), (32, 0, ANY)), False),
        (b"\x03\0\0\0", None),
        (b"\x02\0\0\0\x01", None),
        (b"\x02", None),
    ],
)  # fmt: skip
def test_an_acl_counts_before_the_mode(acl: bytes, may: bool | None) -> None:
    assert permits(Rights(0o755, 0, 0, acl), ACCOUNT, READ | ENTER) is may


def test_what_cannot_be_read_here_is_not_known() -> None:
    assert permits(Rights(0o777, 4001, 4001, is_whole=False), ACCOUNT, READ) is None


def test_the_file_systems_own_acl_is_found(tmp_path: Path) -> None:
    assert rights_of(tmp_path).acl == b""
    acl = listed((1, 7, ANY), (2, 5, 4001), (4, 0, ANY), (16, 5, ANY), (32, 0, ANY))
    os.setxattr(tmp_path, "system.posix_acl_access", acl)
    assert rights_of(tmp_path).acl == acl
    assert permits(rights_of(tmp_path), ACCOUNT, READ | ENTER) is True


# --- the adapter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "restored"
    (folder / "ada" / "run-1").mkdir(parents=True)
    for each in (folder, folder / "ada", folder / "ada" / "run-1"):
        each.chmod(0o755)
    return folder


async def allowed(folders: EnteredFolders, path: Path | str) -> Path | None:
    return await folders.allowed(PurePosixPath(path), ACCOUNT)


async def test_a_folder_below_a_root_is_allowed_by_either_name_of_the_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "also").symlink_to(root)
    folders = EnteredFolders([tmp_path / "also"], as_account=False)
    real = root / "ada" / "run-1"
    assert await allowed(folders, tmp_path / "also" / "ada" / "run-1") == real
    assert await allowed(folders, real) == real
    (root / "link").symlink_to("ada/run-1")
    assert await allowed(folders, root / "link") == real


async def test_whatever_lies_elsewhere_or_is_no_folder_is_not(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o755)
    (root / "out").symlink_to(secret)
    (root / "up").symlink_to("..")
    (root / "self").symlink_to(".")
    (root / "loop").symlink_to("loop")
    (root / "file").write_text("x")
    (root / "run").symlink_to("/proc/self/fd/0")
    folders = EnteredFolders([root], as_account=True)
    bad = [
        "/", "/etc", str(tmp_path), str(secret), str(root), f"{root}-2/x", f"{root}/out", f"{root}/up", f"{root}/up/secret",
        f"{root}/self", f"{root}/loop", f"{root}/file", f"{root}/file/x", f"{root}/nowhere", f"{root}/{'x' * 300}", f"{root}/run",
        f"{root}/" + "a/" * 400,
    ]  # fmt: skip
    assert {path: await allowed(folders, path) for path in bad} == dict.fromkeys(bad)


async def test_without_roots_nothing_is_allowed(root: Path) -> None:
    assert await allowed(EnteredFolders([], as_account=True), root / "ada") is None


async def test_what_the_account_may_not_read_is_not_allowed_nor_what_lies_behind_it(root: Path) -> None:
    folders = EnteredFolders([root], as_account=False)
    run = root / "ada" / "run-1"
    run.chmod(0o711)
    assert await allowed(folders, run) is None
    run.chmod(0o755)
    (root / "ada").chmod(0o754)
    assert await allowed(folders, run) is None
    (root / "ada").chmod(0o711)
    assert await allowed(folders, run) == run


async def test_what_nobody_can_tell_is_left_to_the_kernel_only_where_it_asks_for_the_account(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of another kind of ACL, which no disk of this machine has."""
    unknown = lambda path: replace(rights_of(path), is_whole=False)  # noqa: E731
    monkeypatch.setattr("facility_agent.adapters.places.entered.rights_of", unknown)
    run = root / "ada" / "run-1"
    assert await allowed(EnteredFolders([root], as_account=True), run) == run
    assert await allowed(EnteredFolders([root], as_account=False), run) is None


async def test_a_root_that_is_away_is_no_answer_and_hides_no_other(root: Path, tmp_path: Path) -> None:
    folders = EnteredFolders([tmp_path / "unmounted", root], as_account=False)
    assert await allowed(folders, root / "ada" / "run-1") == root / "ada" / "run-1"
    for path in (tmp_path / "unmounted" / "x", "/somewhere/else"):
        with pytest.raises(BackendUnavailable):
            await allowed(folders, path)


async def test_a_file_system_that_hangs_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = root / "never"
    os.mkfifo(fifo)
    hangs = lambda path, account: fifo.read_text()  # noqa: E731 (blocks until somebody writes)
    folders = EnteredFolders([root], as_account=False)
    monkeypatch.setattr(folders, "_allowed", hangs)
    monkeypatch.setattr("facility_agent.adapters.places.entered.WITHIN", 0.05)
    with pytest.raises(BackendUnavailable):
        await allowed(folders, root / "ada")
    await asyncio.to_thread(fifo.write_text, "go on")


# --- at the agent


@pytest.fixture
async def here(at: FacilityScene, root: Path) -> FacilityScene:
    """Ada may enter places below the root; d-1 is in an archive that nobody can ask."""
    at.roots = (root,)
    await at.reopen()
    at.shelf.set_state("d-1", ArchiveState.ARCHIVED)
    return at


async def state(at: FacilityScene, held: Held, pid: str = "d-1") -> ArchiveState:
    answer = await at.ask(held, Verb.GET, GetDataset(pid))
    assert isinstance(answer.payload, Dataset)
    return answer.payload.state


async def mounts(at: FacilityScene, pid: str = "d-1", *proposals: str) -> dict[str, Path]:
    account = await at.people.account("ada")
    found = await at.workspaces._runs.mounts(proposals or ("P-1",), account, pid)
    return {mount.name: mount.folder for mount in found.mounts if mount.read_only and mount.within == "proposals"}


def kept(at: FacilityScene) -> list[tuple[str, str, str]]:
    with sqlite3.connect(at.folder / "agent.sqlite3") as db:
        return list(db.execute("select immutable_id, pid, folder from entered_place order by pid"))


async def test_what_was_entered_is_started_from_and_online_for_that_person_alone(
    here: FacilityScene, root: Path
) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    here.people.put(Person("ben", "id-2", 4003, 4003, home="/home/ben", proposals=("P-1", "P-3")))
    ben = await here.ben()
    await here.doorkeeper.enter_place(ADA, "d-1", f" {run} ")
    assert kept(here) == [("id-1", "d-1", str(run))]
    assert await state(here, ada) is ArchiveState.ONLINE
    assert await state(here, ben) is ArchiveState.ARCHIVED
    assert await mounts(here) == {"P-1": here.folder / "P-1", "P-1-2": run}
    await here.running(ada, dataset="d-1")
    _, answer = await here.launch(ben, dataset="d-1")
    refused(answer, "DATA_NOT_ONLINE")
    assert len(here.machine.started) == 1


async def test_a_proposal_that_has_no_place_is_then_no_obstacle(here: FacilityScene, root: Path) -> None:
    here.shelf.set_state("d-1", ArchiveState.ONLINE)
    here.shelf._folders.pop("P-1")
    ada, run = await here.ada(), root / "ada" / "run-1"
    _, answer = await here.launch(ada, dataset="d-1")
    refused(answer, "NOT_FOUND")
    assert answer.problem is not None
    assert "enter it on the facility's own page" in answer.problem.message
    await here.doorkeeper.enter_place(ADA, "d-1", str(run))
    assert await mounts(here) == {"P-1": run}
    with pytest.raises(NotFound):
        await mounts(here, "")
    here.shelf._folders.pop("P-2")
    with pytest.raises(NotFound):
        await mounts(here, "d-1", "P-1", "P-2")


async def test_a_place_within_the_proposals_own_is_mounted_once(here: FacilityScene, root: Path) -> None:
    await here.ada()
    here.shelf._folders["P-1"] = root / "ada"
    await here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada" / "run-1"))
    assert await mounts(here) == {"P-1": root / "ada"}


async def test_a_refused_launch_names_the_page_only_where_there_is_one(at: FacilityScene, root: Path) -> None:
    at.shelf.set_state("d-1", ArchiveState.ARCHIVED)
    ada = await at.ada()
    said = []
    for roots in ((), (root,)):
        at.roots = roots
        await at.reopen()
        _, answer = await at.launch(ada, dataset="d-1")
        refused(answer, "DATA_NOT_ONLINE")
        assert answer.problem is not None
        said.append("the facility's own page" in answer.problem.message)
        assert str(root) not in answer.problem.message
    assert said == [False, True]


@pytest.mark.parametrize("pid", ["d-3", "no-such", "", "x" * 513, "'; drop table entered_place; --"])
async def test_for_a_dataset_that_one_may_not_read_nothing_is_kept_or_told(
    here: FacilityScene, root: Path, pid: str
) -> None:
    await here.ada()
    before = here.rows()
    with pytest.raises(NotFound) as one:
        await here.doorkeeper.enter_place(ADA, pid, str(root / "ada"))
    with pytest.raises(NotFound) as other:
        await here.doorkeeper.enter_place(ADA, pid, "/nowhere")
    assert one.value.message == other.value.message
    if pid:
        with pytest.raises(NotFound):
            await here.doorkeeper.places(ADA, pid)
    assert here.rows() == before


async def test_a_path_that_is_not_allowed_is_refused_alike_whatever_lies_there(
    here: FacilityScene, root: Path, tmp_path: Path
) -> None:
    await here.ada()
    (tmp_path / "secret").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "private").mkdir(mode=0o700)
    before, said = here.rows(), set()
    for path in (tmp_path / "secret", tmp_path / "none", root / "out", root / "none", root / "private", root):
        with pytest.raises(NotFound) as refusal:
            await here.doorkeeper.enter_place(ADA, "d-1", str(path))
        said.add(refusal.value.message)
    assert len(said) == 1
    with pytest.raises(InvalidRequest):
        await here.doorkeeper.enter_place(ADA, "d-1", f"{root}/ada/../ada")
    assert here.rows() == before


async def test_a_link_put_in_its_place_later_is_not_followed(
    here: FacilityScene, root: Path, tmp_path: Path
) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    (root / "mine").symlink_to(run)
    await here.doorkeeper.enter_place(ADA, "d-1", str(root / "mine"))
    (root / "mine").unlink()
    (tmp_path / "secret").mkdir()
    (root / "mine").symlink_to(tmp_path / "secret")
    assert (await mounts(here))["P-1-2"] == run, "what was resolved counts, not the link"
    for target in (tmp_path / "secret", root / "other"):
        target.mkdir(exist_ok=True)
        run.rename(root / "ada" / "aside")
        run.symlink_to(target)
        assert await state(here, ada) is ArchiveState.ARCHIVED
        _, answer = await here.launch(ada, dataset="d-1")
        refused(answer, "DATA_NOT_ONLINE")
        run.unlink()
        (root / "ada" / "aside").rename(run)
    assert here.machine.started == []
    assert await state(here, ada) is ArchiveState.ONLINE


async def test_rights_that_were_taken_away_count_at_the_next_launch(here: FacilityScene, root: Path) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    await here.doorkeeper.enter_place(ADA, "d-1", str(run))
    run.chmod(0o700)
    _, answer = await here.launch(ada, dataset="d-1")
    refused(answer, "DATA_NOT_ONLINE")
    assert here.machine.started == []


async def test_one_that_has_vanished_counts_no_more_and_is_forgotten_after_a_day(
    here: FacilityScene, root: Path
) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    await here.doorkeeper.enter_place(ADA, "d-1", str(run))
    run.rmdir()
    assert await state(here, ada) is ArchiveState.ARCHIVED
    here.now += FORGOTTEN - 1
    later = await here.held()
    assert await state(here, later) is ArchiveState.ARCHIVED
    run.mkdir(mode=0o755)
    assert await state(here, later) is ArchiveState.ONLINE, "a disk that comes back brings it back"
    run.rmdir()
    await state(here, later)
    here.now += FORGOTTEN
    assert kept(here) != []
    assert await state(here, await here.held()) is ArchiveState.ARCHIVED
    assert kept(here) == []


async def test_a_disk_that_is_away_forgets_nothing_and_mounts_nothing(here: FacilityScene, root: Path) -> None:
    ada = await here.ada()
    await here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada" / "run-1"))
    root.rename(root.with_name("away"))
    here.now += 2 * FORGOTTEN
    held = await here.held()
    assert await state(here, held) is ArchiveState.ARCHIVED
    _, answer = await here.launch(held, dataset="d-1")
    refused(answer, "BACKEND_UNAVAILABLE")
    assert here.machine.started == []
    root.with_name("away").rename(root)
    assert await state(here, held) is ArchiveState.ONLINE
    assert ada.grant_id != held.grant_id


async def test_it_is_looked_at_replaced_and_taken_back(here: FacilityScene, root: Path) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    await here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada"))
    here.now += 1
    await here.doorkeeper.enter_place(ADA, "d-1", str(run))
    await here.doorkeeper.enter_place(ADA, "d-o", str(run))
    sheet = await here.doorkeeper.places(ADA, "d-1")
    assert (sheet.title, sheet.state, sheet.roots) == ("Title d-1", "ONLINE", (str(root),))
    assert [(pid, folder) for pid, folder, _ in sheet.entered] == [("d-1", str(run)), ("d-o", str(run))]
    await here.link(BEN, "ben")
    assert (await here.doorkeeper.places(BEN, "")).entered == ()
    await here.doorkeeper.forget_place(BEN, "d-1")
    assert len(kept(here)) == 2, "nobody takes back another's"
    await here.doorkeeper.forget_place(ADA, "d-1")
    await here.doorkeeper.forget_place(ADA, "d-1")
    await here.doorkeeper.forget_place(ADA, "")
    assert kept(here) == [("id-1", "d-o", str(run))]
    assert await state(here, ada) is ArchiveState.ARCHIVED


async def test_who_is_not_linked_enters_nothing_and_unlinking_forgets(here: FacilityScene, root: Path) -> None:
    for asked in (here.doorkeeper.places(ADA, ""), here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada"))):
        with pytest.raises(AccountNotLinked):
            await asked
    await here.ada()
    await here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada"))
    await here.unlink()
    assert kept(here) == []
    with pytest.raises(AccountNotLinked):
        await here.doorkeeper.forget_place(ADA, "d-1")
    assert kept(here) == []


async def test_a_link_that_changes_while_the_disk_is_looked_at_keeps_nothing(
    here: FacilityScene, root: Path
) -> None:
    await here.ada()
    account = await here.people.account("ada")
    link = await here.store.transact(lambda tx: tx.link_of(ADA))
    assert isinstance(link, LinkRow)
    await here.unlink()
    await here.link()
    with pytest.raises(AccountNotLinked):
        await here.entered.enter(link, account, "d-1", str(root / "ada"))
    assert kept(here) == []


async def test_an_account_keeps_so_many(here: FacilityScene, root: Path) -> None:
    await here.ada()

    def fill(tx: Transaction) -> None:
        for n in range(MOST):
            tx.put_entered(EnteredRow("id-1", f"x-{n}", str(root / "ada"), here.now))

    await here.store.transact(fill)
    with pytest.raises(QuotaExceeded):
        await here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada"))
    await here.doorkeeper.forget_place(ADA, "x-0")
    await here.doorkeeper.enter_place(ADA, "d-1", str(root / "ada"))
    assert len(kept(here)) == MOST


async def test_a_site_without_roots_has_no_such_thing(at: FacilityScene, root: Path) -> None:
    ada = await at.ada()
    at.shelf.set_state("d-1", ArchiveState.ARCHIVED)
    await at.store.transact(lambda tx: tx.put_entered(EnteredRow("id-1", "d-1", str(root / "ada"), at.now)))
    for asked in (
        at.doorkeeper.places(ADA, ""),
        at.doorkeeper.enter_place(ADA, "d-1", str(root)),
        at.doorkeeper.forget_place(ADA, "d-1"),
    ):
        with pytest.raises(Unsupported):
            await asked
    assert await state(at, ada) is ArchiveState.ARCHIVED


async def test_a_start_that_is_taken_up_after_a_crash_looks_at_the_place_again(
    here: FacilityScene, root: Path
) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    await here.doorkeeper.enter_place(ADA, "d-1", str(run))
    workspace_id = str(uuid.uuid4())
    await here.running(ada, workspace_id=workspace_id, dataset="d-1")
    row = await here.row(workspace_id)
    assert row.dataset == "d-1"
    await here.doorkeeper.forget_place(ADA, "d-1")
    await here.workspaces._runs._start_again(replace(row, state=WorkspaceState.STARTING))
    ended = await here.row(workspace_id)
    assert (ended.state, ended.reason) == (WorkspaceState.FAILED, "DATA_NOT_ONLINE")


async def test_nothing_of_it_reaches_the_centre(here: FacilityScene, root: Path) -> None:
    ada, run = await here.ada(), root / "ada" / "run-1"
    told: list[bytes] = []
    here.orders.on_settled(lambda result: told.append(result.result))
    await here.doorkeeper.enter_place(ADA, "d-1", str(run))
    answer = await here.ask(ada, Verb.GET, GetDataset("d-1"))
    await here.running(ada, dataset="d-1")
    for said in (repr(here.told), repr(answer), repr(told), repr(here.workspaces.inventory())):
        assert "run-1" not in said
        assert str(root) not in said
    assert told != []
