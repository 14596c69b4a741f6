"""What every `PasswordSignOn` must do. Subclass `SignOnContract` and give it the fixture `world`."""

from __future__ import annotations

import asyncio
import logging

import pytest

from facility_agent.testing.accounts_world import AccountsWorld, Person
from facility_agent.testing.directory_contract import STRANGE_NAMES, check_public
from shared.errors import AccessDenied, BackendUnavailable, RateLimited

RIGHT = Person().password
STRANGE_PASSWORDS = ("", " ", RIGHT + " ", RIGHT + "\0", RIGHT.upper(), "*", "\ud800", "x" * 60_000, "' or ''='")


class SignOnContract:
    """The guarantees of the port."""

    async def refused(self, world: AccountsWorld, username: str, password: str) -> str:
        """The sentence of a refusal."""
        with pytest.raises(AccessDenied) as refused:
            await world.sign_on.check(username, password)
        check_public(refused.value, *([username] if username.strip() else []))
        return refused.value.message

    async def test_the_right_password_gives_the_username(self, world: AccountsWorld) -> None:
        world.put(Person())
        assert await world.sign_on.check("ada", RIGHT) == "ada"

    async def test_a_wrong_password_and_an_unknown_username_sound_alike(self, world: AccountsWorld) -> None:
        world.put(Person())
        wrong = await self.refused(world, "ada", "wrong")
        assert await self.refused(world, "nobody-here", "wrong") == wrong
        assert await self.refused(world, "nobody-here", RIGHT) == wrong

    @pytest.mark.parametrize("password", STRANGE_PASSWORDS, ids=range(len(STRANGE_PASSWORDS)))
    async def test_a_strange_password_is_wrong(self, world: AccountsWorld, password: str) -> None:
        world.put(Person())
        await self.refused(world, "ada", password)

    @pytest.mark.parametrize("name", [name for name in STRANGE_NAMES if name.strip() != "ada"])
    async def test_a_strange_name_is_nobodys(self, world: AccountsWorld, name: str) -> None:
        world.put(Person())
        await self.refused(world, name, RIGHT)

    async def test_an_account_without_a_password_lets_nobody_in(self, world: AccountsWorld) -> None:
        world.put(Person(password=""))
        await self.refused(world, "ada", "")
        await self.refused(world, "ada", RIGHT)

    async def test_a_disabled_or_deleted_account_lets_nobody_in(self, world: AccountsWorld) -> None:
        world.put(Person())
        assert await world.sign_on.check("ada", RIGHT) == "ada"
        world.put(Person(enabled=False))
        await self.refused(world, "ada", RIGHT)
        world.remove("ada")
        await self.refused(world, "ada", RIGHT)

    @pytest.mark.parametrize("name", ["ada", "nobody-here"])
    async def test_too_many_failures_shut_a_username_for_a_while(self, world: AccountsWorld, name: str) -> None:
        world.put(Person())
        for _ in range(world.failures):
            await self.refused(world, name, "wrong")
        with pytest.raises(RateLimited):
            await world.sign_on.check(name, RIGHT)
        world.wait(world.window + 1)
        if name == "ada":
            assert await world.sign_on.check(name, RIGHT) == "ada"
        else:
            await self.refused(world, name, RIGHT)

    async def test_guesses_that_come_all_at_once_are_not_more(self, world: AccountsWorld) -> None:
        world.put(Person())
        guesses = [world.sign_on.check("ada", f"guess {n}") for n in range(3 * world.failures)]
        seen = await asyncio.gather(*guesses, return_exceptions=True)
        assert sum(isinstance(answer, AccessDenied) for answer in seen) == world.failures
        assert sum(isinstance(answer, RateLimited) for answer in seen) == 2 * world.failures

    async def test_one_username_shuts_no_other(self, world: AccountsWorld) -> None:
        world.put(Person())
        for _ in range(world.failures):
            await self.refused(world, "ben", "wrong")
        assert await world.sign_on.check("ada", RIGHT) == "ada"

    async def test_a_success_forgets_earlier_failures(self, world: AccountsWorld) -> None:
        world.put(Person())
        for _ in range(3):
            for _ in range(world.failures - 1):
                await self.refused(world, "ada", "wrong")
            assert await world.sign_on.check("ada", RIGHT) == "ada"

    async def test_an_outage_is_no_refusal_and_shuts_nothing(self, world: AccountsWorld) -> None:
        world.put(Person())
        with world.outage():
            for _ in range(2 * world.failures):
                with pytest.raises(BackendUnavailable) as outage:
                    await world.sign_on.check("ada", RIGHT)
            check_public(outage.value, "ada", RIGHT)
        assert await world.sign_on.check("ada", RIGHT) == "ada"

    async def test_a_password_is_never_logged(
        self, world: AccountsWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        world.put(Person())
        await world.sign_on.check("ada", RIGHT)
        await self.refused(world, "ada", "wrong-and-private")
        with world.outage(), pytest.raises(BackendUnavailable) as outage:
            await world.sign_on.check("ada", RIGHT)
        said = caplog.text + str(outage.value) + str(outage.value.__cause__)
        assert RIGHT not in said
        assert "wrong-and-private" not in said
