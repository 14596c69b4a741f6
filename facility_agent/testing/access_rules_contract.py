"""What every `AccessRules` must do. Subclass `AccessRulesContract` and give it the fixture `world`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facility_agent.testing.accounts_world import AccountsWorld, Person
from facility_agent.testing.directory_contract import check_public
from shared.errors import BackendUnavailable


class AccessRulesContract:
    """The guarantees of the port."""

    async def test_an_account_has_its_proposals_and_no_others(self, world: AccountsWorld) -> None:
        world.put(Person())
        world.put(Person("ben", "id-2", 4003, 4003, proposals=("P-3",)))
        world.put(Person("cleo", "id-3", 4004, 4004, proposals=()))
        for name, proposals in (("ada", {"P-1", "P-2"}), ("ben", {"P-3"}), ("cleo", set[str]())):
            account = await world.directory.account(name)
            assert await world.rules.may_use(account)
            assert set(await world.rules.proposals(account)) == proposals

    async def test_what_is_taken_away_is_gone_at_once(self, world: AccountsWorld) -> None:
        world.put(Person())
        account = await world.directory.account("ada")
        assert await world.rules.proposals(account)
        world.put(Person(proposals=("P-2",)))
        assert set(await world.rules.proposals(account)) == {"P-2"}
        world.put(Person(enabled=False))
        assert not await world.rules.may_use(account)
        assert not await world.rules.proposals(account)

    async def test_an_account_that_is_gone_or_somebody_elses_has_nothing(self, world: AccountsWorld) -> None:
        world.put(Person())
        account = await world.directory.account("ada")
        assert not await world.rules.may_use(replace(account, immutable_id="id-of-an-earlier-ada"))
        assert not await world.rules.proposals(replace(account, immutable_id="id-of-an-earlier-ada"))
        world.remove("ada")
        assert not await world.rules.may_use(account)
        assert not await world.rules.proposals(account)

    async def test_an_outage_allows_nothing(self, world: AccountsWorld) -> None:
        world.put(Person())
        account = await world.directory.account("ada")
        with world.outage():
            for ask in (world.rules.may_use, world.rules.proposals):
                with pytest.raises(BackendUnavailable) as outage:
                    await ask(account)
                check_public(outage.value, "ada", "P-1")
        assert await world.rules.may_use(account)
