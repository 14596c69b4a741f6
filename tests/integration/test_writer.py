"""Writes in groups: one commit for many, each undone alone, none lost, and a bound on what waits."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from central_portal import writer as module
from central_portal.database import in_database
from central_portal.writer import Writer
from shared.errors import RateLimited

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
async def write() -> AsyncIterator[Writer]:
    writer = Writer()
    yield writer
    await writer.close()


def person(sub: str) -> Any:
    from central_portal.identity.models import Person

    return Person.objects.create(issuer="http://writer", sub=sub, name="Ada").pk


def subs() -> set[str]:
    from central_portal.identity.models import Person

    return set(Person.objects.filter(issuer="http://writer").values_list("sub", flat=True))


async def test_what_fails_undoes_itself_alone(write: Writer) -> None:
    names = [uuid.uuid4().hex for _ in range(40)]

    def failing(name: str) -> None:
        person(name)
        raise LookupError(name)

    works = [
        write(lambda n=name, i=index: failing(n) if i % 3 == 0 else person(n)) for index, name in enumerate(names)
    ]
    results = await asyncio.gather(*works, return_exceptions=True)
    kept = await in_database(subs)()
    for index, (name, result) in enumerate(zip(names, results, strict=True)):
        if index % 3 == 0:
            assert isinstance(result, LookupError)
            assert result.args == (name,)
        else:
            assert isinstance(result, int)
        assert (name in kept) is (index % 3 != 0)


async def test_a_failure_alone_leaves_nothing(write: Writer) -> None:
    name = uuid.uuid4().hex

    def failing() -> None:
        person(name)
        raise ValueError

    with pytest.raises(ValueError):
        await write(failing)
    assert name not in await in_database(subs)()
    assert await write(lambda: person(name))


async def test_many_share_a_commit(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    real = module._commit
    monkeypatch.setattr(module, "_commit", lambda works: (groups.append(len(works)), real(works))[1])
    await asyncio.gather(*(write(lambda: None) for _ in range(200)))
    assert sum(groups) == 200
    assert len(groups) <= 5
    assert max(groups) <= module.GROUP


async def test_what_waits_is_bounded(write: Writer) -> None:
    asked = [asyncio.ensure_future(write(lambda: None)) for _ in range(module.WAITING + 10)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert refused
    assert all(isinstance(result, RateLimited) for result in refused)


async def test_a_cancelled_caller_harms_nobody(write: Writer) -> None:
    name = uuid.uuid4().hex
    first = asyncio.ensure_future(write(lambda: None))
    second = asyncio.ensure_future(write(lambda: person(name)))
    await asyncio.tasks.sleep(0)
    first.cancel()
    await second
    assert name in await in_database(subs)()
