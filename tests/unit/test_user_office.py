"""The user office: what its answers mean, a hostile or broken one, and that it is asked at each use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.access.user_office import UserOffice, UserOfficeSettings
from facility_agent.testing.accounts_world import Person
from facility_agent.testing.catalogue_world import ADA
from shared.errors import BackendError, BackendUnavailable
from tests.contracts.access_worlds import OfficeWorld, Reception, adapter, user_office
from tests.standins.serving import serving
from tests.standins.user_office import Office


class Desk:
    """An office, its door, and adapters over it."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self.office = Office()
        self.reception = Reception(self.office)
        self.base = ""

    async def adapter(self, **more: Any) -> UserOffice:
        return await self._stack.enter_async_context(adapter(self.base, self._folder, **more))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        made = Desk(stack, tmp_path)
        made.base = await stack.enter_async_context(serving(made.reception))
        yield made


@pytest.mark.parametrize("how_many", [0, 1, 99, 100, 101, 250])
async def test_every_page_is_read(desk: Desk, how_many: int) -> None:
    desk.office.put("ada", *(f"P-{n}" for n in range(how_many)))
    assert await (await desk.adapter()).proposals(ADA) == {f"P-{n}" for n in range(how_many)}


async def test_an_older_office_names_its_proposals_otherwise(desk: Desk) -> None:
    desk.office.named = "serial_number"
    desk.office.put("ada", "P-1")
    assert await (await desk.adapter(proposal="serial_number")).proposals(ADA) == {"P-1"}
    with pytest.raises(BackendError):
        await (await desk.adapter()).proposals(ADA)


async def test_without_its_word_on_resources_whoever_it_knows_may(desk: Desk) -> None:
    rules = await desk.adapter(is_authorized="")
    assert not await rules.may_use(ADA)
    desk.office.put("ada", authorized=False)
    assert await rules.may_use(ADA)
    assert not await (await desk.adapter()).may_use(ADA)


async def test_it_is_asked_at_each_use(desk: Desk) -> None:
    desk.office.put("ada", "P-1")
    rules = await desk.adapter()
    for _ in range(2):
        assert await rules.may_use(ADA)
        assert await rules.proposals(ADA)
    assert desk.office.asked == [("POST", "/is_staff/"), ("GET", "/experiments/ada/")] * 2


@pytest.mark.parametrize(
    "name", ["a/b", "../is_staff", "?page=2", "ada%2e", "a#b", "å", ".", "..", "a\0b", "a\nb"]
)
async def test_a_username_is_one_part_of_the_path_and_no_other_question(desk: Desk, name: str) -> None:
    desk.office.put("ada", "P-1")
    rules = await desk.adapter()
    assert await rules.proposals(replace(ADA, username=name)) == frozenset()
    assert not await rules.may_use(replace(ADA, username=name))
    assert {path for _, path in desk.office.asked if path.startswith("/experiments/ada/")} == set()


def page(**changes: Any) -> bytes:
    return json.dumps(
        {"count": 1, "next": None, "previous": None, "results": [{"proposal_id": "P-1"}]} | changes
    ).encode()


BAD_PAGES = {
    "html": b"<html>Hello</html>", "empty": b"", "a list": b"[]", "null": b"null", "cut": page()[:-1],
    "no count": page(count=None), "a count of yes": page(count=True), "negative": page(count=-1), "too few": page(count=2),
    "too many": page(count=0), "next is a number": page(next=7), "results are none": page(results=None),
    "a result that is none": page(results=["P-1"]), "a name that is none": page(results=[{"proposal_id": 7}]),
    "an empty name": page(results=[{"proposal_id": ""}]), "a long name": page(results=[{"proposal_id": "x" * 101}]),
    "a name with a newline": page(results=[{"proposal_id": "P\n1"}]), "a name in spaces": page(results=[{"proposal_id": " P-1"}]),
    "more than a page": page(count=101, results=[{"proposal_id": "P-1"}] * 101),
    "goes on without end": page(count=10**9, next="x"), "goes on with nothing": page(next="http://127.0.0.1:1/", results=[]),
    "deep": b"[" * 10_000, "large": b" " * 5_000_000,
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(BAD_PAGES))
async def test_an_answer_that_cannot_be_used_gives_nothing(desk: Desk, what: str) -> None:
    desk.reception.instead = Response(BAD_PAGES[what], 200, media_type="application/json")
    with pytest.raises(BackendError) as refused:
        await (await desk.adapter()).proposals(ADA)
    assert refused.value.message in (
        "The facility's user office gave an answer that cannot be used.",
        "The facility's user office does not answer at the moment.",
    )


@pytest.mark.parametrize(
    "body", [b"{}", b'{"result": 1}', b'{"result": "true"}', b'{"result": null}', b"true", b"", b"<html>"]
)
async def test_only_true_lets_somebody_in(desk: Desk, body: bytes) -> None:
    desk.reception.instead = Response(body, 200, media_type="application/json")
    with pytest.raises(BackendError):
        await (await desk.adapter()).may_use(ADA)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503])
async def test_a_refusal_is_no_word_on_anybody(desk: Desk, status: int) -> None:
    desk.reception.instead = Response(b'{"result": true, "count": 0, "next": null, "results": []}', status)
    rules = await desk.adapter()
    for ask in (rules.may_use, rules.proposals):
        with pytest.raises(BackendError):
            await ask(ADA)


async def test_a_page_of_a_proxy_that_is_not_found_is_no_word_on_anybody(desk: Desk) -> None:
    desk.reception.instead = Response("<html>Not found</html>", 404)
    with pytest.raises(BackendError):
        await (await desk.adapter()).proposals(ADA)


async def test_the_password_goes_nowhere_else(desk: Desk) -> None:
    class Elsewhere:
        asked: list[str] = []

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            self.asked.append(scope["path"])
            await Response(page())(scope, receive, send)

    elsewhere = Elsewhere()
    async with serving(elsewhere) as other:
        rules = await desk.adapter()
        for instead in (RedirectResponse(f"{other}/experiments/ada/"), Response(page(count=2, next=f"{other}/x"))):
            desk.reception.instead = instead
            with pytest.raises(BackendError):
                await rules.proposals(ADA)
    assert elsewhere.asked == []


async def test_all_pages_together_have_one_deadline(desk: Desk) -> None:
    halted = asyncio.Event()

    async def halts(scope: Scope, receive: Receive, send: Send) -> None:
        halted.set()
        await asyncio.Event().wait()

    desk.reception.instead = halts
    rules = await desk.adapter(timeout_s=0.2)
    for ask in (rules.may_use, rules.proposals):
        with pytest.raises(BackendUnavailable):
            await ask(ADA)
    assert halted.is_set()


async def test_a_password_that_cannot_be_read_lets_nobody_in(desk: Desk, tmp_path: Path) -> None:
    desk.office.put("ada", "P-1")
    rules = await desk.adapter()
    assert list(rules.faults()) == []
    (tmp_path / "office.password").chmod(0o644)
    with pytest.raises(BackendUnavailable):
        await rules.proposals(ADA)
    assert [fault.setting for fault in rules.faults()] == ["password_file"]
    assert desk.office.asked == []


async def test_wrong_credentials_are_said_to_be_an_outage(desk: Desk) -> None:
    desk.office.put("ada", "P-1")
    desk.office.password = "another"
    with pytest.raises(BackendUnavailable):
        await (await desk.adapter()).proposals(ADA)


async def test_an_account_that_is_gone_is_not_asked_about(tmp_path: Path) -> None:
    async with user_office(tmp_path) as world:
        assert isinstance(world, OfficeWorld)
        world.put(Person())
        account = await world.directory.account("ada")
        world.backend.remove("ada")
        assert not await world.rules.may_use(account)
        assert await world.rules.proposals(account) == frozenset()
        assert world.office.asked == []


def test_settings_refuse_what_could_not_work() -> None:
    good = {"url": "https://office.example", "username": "parasol", "password_file": "x"}
    UserOfficeSettings.model_validate(good)
    for wrong in (
        {"url": "http://office.example"}, {"experiments": "/experiments/"}, {"experiments": "/$USERNAME?x"}, {"username": "a:b"},
        {"experiments": "http://other/$USERNAME"}, {"is_authorized": "//other"[1:] + "?x"}, {"is_authorized": "other"}, {"timeout_s": 0},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            UserOfficeSettings.model_validate(good | wrong)
