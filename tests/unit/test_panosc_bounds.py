"""The served PaNOSC search API: bad input, and what a request may cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from central_portal.panosc.models import Relation, Row
from central_portal.panosc.units import converted
from tests.panosc_client import Client, include, quantity
from tests.standins import panosc
from tests.standins.panosc import MemoryRecords


@pytest.fixture
def api() -> Client:
    return Client(panosc.records(panosc.specification()))


@pytest.mark.parametrize(
    "unit", ["nonsense", "m", "9**9**9**9", "__import__('os')", "e" * 64, "eV;DROP", "eV^9999999", ""]
)
async def test_nonsense_units_find_nothing(api: Client, unit: str) -> None:
    """Some would never end if they were computed."""
    asked = {"include": [include("parameters", quantity("photon_energy", {"gt": 0}, unit))]}
    assert await api.get("/api/Datasets", filter=asked) == []
    assert converted(1, "eV", unit) is None


@pytest.mark.parametrize(
    "asked",
    [
        "{", "[]", '"x"', "null", '{"where": []}', '{"where": {"nothing": 1}}', '{"where": {"title": {"$gt": ""}}}',
        '{"where": {"title": {"regexp": "(a+)+$"}}}', '{"where": {"creationDate": "yesterday"}}',
        '{"where": {"creationDate": {"between": ["2020-01-01"]}}}', '{"where": {"creationDate": "2020-13-45"}}',
        '{"where": {"size": "big"}}', '{"where": {"size": true}}', '{"where": {"and": {}}}', '{"where": {"or": []}}',
        '{"include": [{"relation": "accessTokens"}]}', '{"include": [{"relation": ["files"]}]}', '{"include": [7]}',
        '{"include": [{"relation": "files", "scope": []}]}', '{"limit": -1}', '{"limit": "1"}', '{"limit": 1e9}',
        '{"limit": 100001}', '{"skip": true}', '{"order": "nothing ASC"}', '{"order": "pid; DROP TABLE"}',
        '{"wher": {}}', '{"where": {"text": ""}}', '{"where": {"title": {}}}', '{"where": {"size": NaN}}',
        json.dumps({"where": {"title": "x" * 501}}), json.dumps({"where": {"pid": {"inq": ["x"] * 201}}}),
        json.dumps({"where": {"title": "x" * 20_000}}),
        "[" * 5000,
    ],
)  # fmt: skip
async def test_a_malformed_filter_is_refused_before_anything_is_read(api: Client, asked: str) -> None:
    status, message = await api.get("/api/Datasets", filter=asked)
    assert status == 400
    assert message.endswith(".")
    assert api.records.reads == 0


def nested(depth: int) -> Any:
    asked: Any = include("datasets") if depth % 2 else include("documents")
    for at in range(depth - 1, 0, -1):
        asked = include("datasets" if at % 2 else "documents", None, asked)
    return {"include": [asked]}


async def test_includes_may_go_round_within_a_bound(api: Client) -> None:
    found = await api.get("/api/Documents", filter=nested(4))
    assert found[0]["datasets"][0]["documents"][0]["datasets"][0]["documents"][0]["pid"] == found[0]["pid"]
    status, message = await api.get("/api/Documents", filter=nested(9))
    assert (status, "deep" in message) == (400, True)
    deep: Any = {"title": "x"}
    for _ in range(9):
        deep = {"and": [deep]}
    assert (await api.get("/api/Datasets", filter={"where": deep}))[0] == 400


async def test_an_explosion_of_includes_ends(api: Client) -> None:
    objects = panosc.specification()
    objects["Dataset"] = [{"pid": f"d{n}", "title": "t", "isPublic": True} for n in range(200)]
    objects["DocumentDataset"] = [
        {"datasetId": f"d{n}", "documentId": "10.5072/panosc-document1"} for n in range(200)
    ]
    objects["DatasetTechnique"] = objects["DatasetSample"] = []
    api, asked = Client(panosc.records(objects), deadline=60.0), include("datasets")
    for relation in ("documents", "datasets", "documents"):
        asked = include(relation, None, asked)
    status, message = await api.get("/api/Datasets", filter={"include": [asked]})
    assert (status, "too much" in message) == (400, True)
    assert api.records.reads <= 20


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '"; DROP TABLE x; --', "%00", "\x00", "%" * 300, "${7*7}", "<script>", "_" * 400]
)
async def test_injection_shaped_text_is_text(api: Client, text: str) -> None:
    for where in ({"title": text}, {"pid": text}, {"title": {"like": f"x{text}x"}}, {"text": text}):
        assert await api.get("/api/Datasets", filter={"where": where}) == []


async def test_other_methods_paths_and_queries_are_refused(api: Client) -> None:
    for path in (
        "/api",
        "/api/",
        "/api/Files",
        "/api/Datasets/x/techniques",
        "/apiDatasets",
        "/api/Instruments/x/files",
    ):
        assert (await api.get(path))[0] == 404
    assert (await api.raw("/api/Datasets", method="POST"))[0] == 405
    assert (await api.raw("/api/Datasets", "filter=%7B%7D&filter=%7B%7D"))[0] == 400
    assert (await api.raw("/api/Datasets", "filter=%FF"))[0] == 400
    assert (await api.raw("/api/Datasets", "filter=" + "x" * 60_000))[0] == 400
    assert api.records.reads == 0


class Stuck(MemoryRecords):
    async def related(self, relation: Relation, rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_records_that_do_not_answer_end_at_the_deadline() -> None:
    stuck = Stuck({"Dataset": [{"pid": "d"}]}, {}, {})
    status, message = await Client(stuck, deadline=0.05).get("/api/Datasets", filter={"include": ["files"]})
    assert (status, message) == (503, "This took too long; narrow the filter.")
    assert len(await Client(stuck, deadline=5).get("/api/Datasets")) == 1


async def test_a_crowd_is_refused_early_and_the_rest_answered() -> None:
    client = Client(Stuck({"Dataset": [{"pid": "d"}]}, {}, {}), deadline=0.1)
    asked = (client.raw("/api/Datasets", "filter=" + quote('{"include": ["files"]}')) for _ in range(80))
    answers = await asyncio.gather(*asked)
    busy = [headers for _, body, headers in answers if b"Too many" in body]
    assert (len(busy), {status for status, _, _ in answers}) == (8, {503})
    assert all(headers[b"retry-after"] == b"2" for headers in busy)
    assert len(await client.get("/api/Datasets")) == 1


async def test_a_facility_narrows(api: Client) -> None:
    rows = [{"pid": "a", "_facility": "one"}, {"pid": "b", "_facility": "two"}]
    client = Client(MemoryRecords({"Dataset": rows}, {}, {}), root="/elsewhere")
    found = await client.get("/elsewhere/Datasets", facility="two")
    assert found == [{"pid": "b", "score": 0}], "and what the model has not never leaves"
