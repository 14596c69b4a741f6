"""What every `Directory` must do. Subclass `DirectoryContract` and give it the fixture `world`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.testing.accounts_world import AccountsWorld, CannotHold, Person
from shared.errors import BackendUnavailable, IdentityRefused, NotFound, ParasolError

STRANGE_NAMES = (
    "", " ", "*", "ada*", "ada ", " ada", "ADA\0", "ada\0", "ada)(uid=*", "(&(uid=*))", "..", "../ada", "/etc/passwd", "0",
    "root", "4001", "id-1", "ada'--", "ada@example.org", "a" * 10_000, "ada\n", "\ud800", "аda", "{}",
)  # fmt: skip
REFUSED = (
    {"uid": 0}, {"uid": None}, {"uid": -1}, {"gid": 0}, {"gid": None}, {"gid": -7}, {"groups": (0,)},
    {"groups": (4002, 0)}, {"groups": (-1,)}, {"home": None}, {"home": "home/ada"}, {"home": ""},
)  # fmt: skip


class DirectoryContract:
    """The guarantees of the port."""

    async def test_an_account_is_complete(self, world: AccountsWorld) -> None:
        world.put(Person())
        account = await world.directory.account("ada")
        assert account == world.expected(Person())
        assert (account.uid, account.gid, account.home) == (4001, 4001, Path("/home/ada"))
        assert 4002 in account.groups

    async def test_no_group_is_left_out(self, world: AccountsWorld) -> None:
        many = Person(groups=tuple(range(5000, 5200)))
        world.put(many)
        account = await world.directory.account("ada")
        assert account == world.expected(many)
        assert set(many.groups) <= set(account.groups)

    async def test_an_unknown_account_is_not_found(self, world: AccountsWorld) -> None:
        world.put(Person())
        with pytest.raises(NotFound):
            await world.directory.account("ben")

    @pytest.mark.parametrize("name", STRANGE_NAMES)
    async def test_a_strange_name_is_nobodys(self, world: AccountsWorld, name: str) -> None:
        world.put(Person())
        with pytest.raises(NotFound):
            await world.directory.account(name)

    @pytest.mark.parametrize("change", REFUSED, ids=str)
    async def test_an_account_without_a_usable_identity_is_refused(
        self, world: AccountsWorld, change: dict[str, object]
    ) -> None:
        try:
            world.put(replace(Person(), **change))  # type: ignore[arg-type]
        except CannotHold:  # then nobody can meet it there; `ada` is not there either
            with pytest.raises(NotFound):
                await world.directory.account("ada")
            return
        with pytest.raises(IdentityRefused) as refused:
            await world.directory.account("ada")
        assert "/" not in refused.value.message
        assert "ada" not in refused.value.message, "no local name in a public sentence"

    async def test_a_change_takes_effect_at_once(self, world: AccountsWorld) -> None:
        world.put(Person())
        await world.directory.account("ada")
        fewer = Person(uid=4009, groups=())
        world.put(fewer)
        changed = await world.directory.account("ada")
        assert changed == world.expected(fewer)
        assert (changed.uid, 4002 in changed.groups) == (4009, False)
        world.put(Person(uid=0))
        with pytest.raises(IdentityRefused):
            await world.directory.account("ada")
        world.remove("ada")
        with pytest.raises(NotFound):
            await world.directory.account("ada")

    async def test_a_disabled_account_is_not_found(self, world: AccountsWorld) -> None:
        world.put(Person(enabled=False))
        with pytest.raises(NotFound):
            await world.directory.account("ada")

    async def test_a_name_given_to_somebody_else_has_another_immutable_id(self, world: AccountsWorld) -> None:
        world.put(Person())
        before = await world.directory.account("ada")
        world.remove("ada")
        world.put(Person(immutable_id="id-2", uid=4012, gid=4012))
        assert (await world.directory.account("ada")).immutable_id != before.immutable_id

    async def test_a_renamed_account_keeps_its_immutable_id(self, world: AccountsWorld) -> None:
        world.put(Person())
        before = await world.directory.account("ada")
        world.remove("ada")
        world.put(Person(username="ada.l"))
        assert (await world.directory.account("ada.l")).immutable_id == before.immutable_id
        with pytest.raises(NotFound):
            await world.directory.account("ada")

    async def test_an_outage_is_no_answer(self, world: AccountsWorld) -> None:
        world.put(Person())
        await world.directory.account("ada")
        with world.outage():
            for name in ("ada", "nobody"):
                with pytest.raises(BackendUnavailable) as outage:
                    await world.directory.account(name)
                check_public(outage.value, name)
        assert (await world.directory.account("ada")).uid == 4001


def check_public(error: ParasolError, *private: str) -> None:
    """An error's sentence holds no path and none of these words."""
    assert "/" not in error.message
    assert not [word for word in private if word in error.message]
