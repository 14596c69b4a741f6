"""The stand-in of a PaNOSC search API: strict, and of one mind with the API that Parasol serves, which shares no code with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.panosc_client import Client, include
from tests.standins import panosc
from tests.standins.panosc.api import PanoscApi
from tests.standins.serving import serving

PERSONS = include("members", None, {"relation": "person"}, {"relation": "affiliation"})


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with serving(PanoscApi(panosc.specification())) as base:
        yield f"{base}/api"


async def ask(base: str, path: str, **parameters: Any) -> tuple[int, Any]:
    query = {k: v if isinstance(v, str) else json.dumps(v) for k, v in parameters.items()}
    async with aiohttp.ClientSession() as session, session.get(f"{base}/{path}", params=query) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    "parameters",
    [
        {"filter": "{"}, {"filter": "[]"}, {"filter": {"order": "pid ASC"}}, {"filter": {"offset": 1}}, {"filter": {"limit": -1}},
        {"filter": {"limit": "1"}}, {"filter": {"skip": True}}, {"filter": {"include": ["nothing"]}}, {"filter": {"include": [7]}},
        {"filter": {"include": [{"relation": "files", "scop": {}}]}}, {"filter": {"where": []}}, {"where": {}},
        {"filter": {"where": {"title": {"like": "x"}}}}, {"facility": "alpha"}, {"filter": {"include": ["instruments"]}},
    ],
    ids=repr,
)  # fmt: skip
async def test_what_it_does_not_know_is_an_error(base: str, parameters: dict[str, Any]) -> None:
    status, said = await ask(base, "Datasets", **parameters)
    assert (status, said["error"]["statusCode"], said["error"]["name"]) == (400, 400, "BadRequestError")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("Datasets", {}), ("Documents", {}), ("Datasets", {"limit": 2, "skip": 1}), ("Datasets", {"skip": 9}),
        ("Documents", {"include": [PERSONS]}), ("Documents", {"include": [{"relation": "datasets"}, {"relation": "parameters"}]}),
        ("Datasets", {"include": [{"relation": n} for n in ("documents", "techniques", "instrument", "samples", "parameters")]}),
        ("Datasets", {"include": [include("documents", {"type": "proposal"})]}),
        ("Datasets", {"where": {"or": [{"title": "PaNOSC Test Dataset 1"}, {"pid": "20.500.12269/panosc-dataset3"}]}}),
    ],
)  # fmt: skip
async def test_it_answers_as_parasols_own(base: str, path: str, asked: dict[str, Any]) -> None:
    own = Client(panosc.records(panosc.specification()))
    status, found = await ask(base, path, filter=asked)
    assert (status, _sorted(found)) == (200, _sorted(await own.get(f"/api/{path}", filter=asked)))
    status, counted = await ask(base, f"{path}/count", where=asked.get("where", {}))
    assert counted == await own.get(f"/api/{path}/count", where=asked.get("where", {}))


def _sorted(value: Any) -> Any:
    """With lists in one order: neither says one."""
    if isinstance(value, dict):
        return {key: _sorted(each) for key, each in value.items()}
    return sorted((_sorted(each) for each in value), key=json.dumps) if isinstance(value, list) else value
