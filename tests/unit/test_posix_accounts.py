"""Accounts of a name service that hangs, fails and knows too little; proposals that are groups."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility_agent.adapters.accounts.nss import NssAccounts, NssPlugin, NssSettings
from facility_agent.adapters.accounts.nss_calls import Entry, look_up
from facility_agent.adapters.accounts.posix import GroupSettings, is_plausible
from facility_agent.plugins import Site
from shared.errors import AccessDenied, BackendUnavailable, IdentityRefused, NotFound, ParasolError

ADA = Entry("ada", 4001, 4001, "Ada L.,room 1", "/home/ada", "/bin/sh", {4001: "ada", 4002: "beam"})


def accounts(answer: Callable[[str], Entry | None], **settings: object) -> NssAccounts:
    return NssAccounts(NssSettings.model_validate(settings), answer)


def raising(error: Exception) -> Callable[[str], Entry | None]:
    def look(name: str) -> Entry | None:
        raise error

    return look


async def test_a_source_that_hangs_is_no_answer_and_blocks_a_bounded_number() -> None:
    never, asked = threading.Event(), list[str]()

    def hang(name: str) -> Entry | None:
        asked.append(name)
        never.wait()
        return None

    slow = accounts(hang, within_s=0.05)
    try:
        for _ in range(10):
            with pytest.raises(BackendUnavailable):
                await slow.account("ada")
        assert len(asked) == 4
    finally:
        never.set()


@pytest.mark.parametrize(
    ("error", "kind"), [(OSError(5, "x"), BackendUnavailable), (LookupError(4999), IdentityRefused)]
)
async def test_what_the_system_cannot_tell_is_never_a_guess(error: Exception, kind: type[ParasolError]) -> None:
    with pytest.raises(kind) as refused:
        await accounts(raising(error)).account("ada")
    assert "4999" not in refused.value.message


async def test_an_answer_for_another_name_is_none() -> None:
    """SSSD can be told not to care for upper and lower case; one account has one name here."""
    for name in ("Ada", "ADA", "ada@example"):
        with pytest.raises(NotFound):
            await accounts(lambda _: ADA).account(name)


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
async def test_an_account_that_is_locked_is_not_there(shell: str) -> None:
    locked = Entry("ada", 4001, 4001, "", "/home/ada", shell, {4001: "ada"})
    with pytest.raises(NotFound):
        await accounts(lambda _: locked).account("ada")


@pytest.mark.parametrize(
    ("uid", "gid", "home"), [(0, 4001, "/home/x"), (999, 4001, "/home/x"), (4001, 0, "/home/x"), (4001, 4001, "")]
)
async def test_a_system_account_or_one_without_a_home_is_refused(uid: int, gid: int, home: str) -> None:
    entry = Entry("ada", uid, gid, "", home, "/bin/sh", {gid: "ada"})
    with pytest.raises(IdentityRefused):
        await accounts(lambda _: entry).account("ada")


async def test_a_name_that_has_another_uid_is_somebody_else() -> None:
    entries = iter([ADA, Entry("ada", 4002, 4001, "", "/home/ada", "/bin/sh", {4001: "ada"})])
    system = accounts(lambda _: next(entries), proposal_group="{proposal}")
    before = await system.account("ada")
    assert not await system.may_use(before)


async def test_nobody_signs_on_with_the_systems_password(tmp_path: Path) -> None:
    built = NssPlugin.build(NssSettings(), Site("x", tmp_path, tmp_path))
    for name, password in (("root", "root"), ("", ""), ("ada", "x")):
        with pytest.raises(AccessDenied):
            await built.check(name, password)


def test_the_real_calls_know_root_and_nobody_else_of_a_strange_name() -> None:
    root = look_up("root")
    assert root is not None
    assert (root.uid, root.gid, root.groups[0]) == (0, 0, "root")
    assert look_up("no-such-account-here") is None


# --- proposals that are groups

WORD = st.text("abcpx-019", max_size=6)


@given(WORD, WORD, st.lists(WORD.filter(bool), max_size=5), st.lists(WORD, max_size=5))
def test_a_groups_name_is_read_as_it_is_written(
    before: str, after: str, proposals: list[str], others: list[str]
) -> None:
    settings = GroupSettings(proposal_group=before + "{proposal}" + after)
    names = [f"{before}{proposal}{after}" for proposal in proposals]
    read = settings.proposals([*names, *others])
    assert set(proposals) <= read
    assert {f"{before}{proposal}{after}" for proposal in read} <= {*names, *others}
    assert "" not in read


def test_without_a_rule_groups_give_nothing() -> None:
    assert GroupSettings().proposals(["p1", ""]) == frozenset()
    for bad in ("p", "{proposal}{proposal}"):
        with pytest.raises(ValueError, match="once"):
            GroupSettings(proposal_group=bad)


@given(st.text(max_size=80))
def test_a_plausible_name_means_nothing_to_a_filter_or_a_path(text: str) -> None:
    if is_plausible(text):
        assert not set(text) & set("()*\\\0/ \n:,=")
        assert len(text) <= 64
        assert not text[0].isdigit()
