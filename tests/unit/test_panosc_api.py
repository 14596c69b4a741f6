"""The served PaNOSC search API: the specification's own expectations on its own data, and bad input.

The cases of the first part are those of `test/{dataset,document,instrument,panet}.test.js` of
panosc-eu/search-api (BSD-2-Clause), made exact where those assert nothing on an empty list.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from central_portal.panosc.app import SearchApi
from central_portal.panosc.models import Relation, Row
from central_portal.panosc.records import MemoryRecords
from central_portal.panosc.units import converted
from tests.standins import panosc

D = "20.500.12269/panosc-dataset"


class Client:
    """Asks the application as a browser would."""

    def __init__(self, records: Any, **settings: Any) -> None:
        self.records = records
        self._api = SearchApi(records, **settings)

    async def raw(self, path: str, query: str = "", method: str = "GET") -> tuple[int, bytes, dict[bytes, bytes]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
        }
        await self._api(scope, receive, send)
        return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])

    async def get(self, path: str, **parameters: Any) -> Any:
        query = "&".join(f"{k}={quote(v if isinstance(v, str) else json.dumps(v))}" for k, v in parameters.items())
        status, body, headers = await self.raw(path, query)
        found = json.loads(body)
        assert headers[b"content-type"].startswith(b"application/json")
        if status != 200:
            assert found["error"]["statusCode"] == status
            return status, found["error"]["message"]
        return found


@pytest.fixture
def api() -> Client:
    return Client(panosc.records(panosc.specification()))


def include(relation: str, where: Any = None, *inner: Any) -> dict[str, Any]:
    scope = ({"where": where} if where else {}) | ({"include": list(inner)} if inner else {})
    return {"relation": relation} | ({"scope": scope} if scope else {})


def pids(found: list[dict[str, Any]]) -> list[str]:
    return [each["pid"] for each in found]


def quantity(name: str, value: Any, unit: str) -> dict[str, Any]:
    return {"and": [{"name": name}, {"value": value}, {"unit": unit}]}


async def test_datasets_without_filter(api: Client) -> None:
    found = await api.get("/api/Datasets")
    assert pids(found) == [f"{D}{n}" for n in (1, 2, 3, 4)]
    for each in found:
        assert each.keys() == {"pid", "title", "isPublic", "creationDate", "score"}


async def test_datasets_by_technique(api: Client) -> None:
    found = await api.get(
        "/api/Datasets", filter={"include": [include("techniques", {"name": "x-ray absorption"})]}
    )
    assert pids(found) == [f"{D}3", f"{D}4"]
    for each in found:
        assert [t["name"] for t in each["techniques"]] == ["x-ray absorption"]
        assert each["techniques"][0]["panetId"] == "http://purl.org/pan-science/PaNET/PaNET01227"


async def test_datasets_by_photon_energy(api: Client) -> None:
    where = quantity("photon_energy", {"between": [880, 990]}, "eV")
    (found,) = await api.get("/api/Datasets", filter={"include": [include("parameters", where)]})
    assert found["parameters"] == [{"id": 3, "name": "photon_energy", "value": 930, "unit": "eV"}]


async def test_datasets_of_copper_or_solid(api: Client) -> None:
    state = {"and": [{"name": "sample_state"}, {"value": "solid"}]}
    copper = {"and": [{"name": "chemical_formula"}, {"value": "Cu"}]}
    (found,) = await api.get("/api/Datasets", filter={"include": [include("parameters", {"or": [state, copper]})]})
    assert [(p["name"], p["value"]) for p in found["parameters"]] == [
        ("chemical_formula", "Cu"),
        ("sample_state", "solid"),
    ]
    both = {"include": [include("parameters", state), include("parameters", copper)]}
    assert pids(await api.get("/api/Datasets", filter=both)) == [f"{D}1"]
    neither = {"include": [include("parameters", state), include("parameters", {"name": "wavelength"})]}
    assert await api.get("/api/Datasets", filter=neither) == []


async def test_datasets_below_a_temperature(api: Client) -> None:
    found = await api.get(
        "/api/Datasets",
        filter={"include": [include("parameters", quantity("temperature", {"lt": 80}, "celsius"))]},
    )
    assert pids(found) == [f"{D}3"]


async def test_datasets_with_a_file(api: Client) -> None:
    (found,) = await api.get("/api/Datasets", filter={"include": [include("files", {"text": "file1"})]})
    assert [f["name"] for f in found["files"]] == ["panosc-file1.hdf"]


async def test_one_dataset(api: Client) -> None:
    found = await api.get("/api/Datasets/" + quote(f"{D}1", safe=""))
    assert found["pid"] == f"{D}1"
    assert "score" not in found


async def test_documents_without_filter(api: Client) -> None:
    found = await api.get("/api/Documents")
    assert pids(found) == ["10.5072/panosc-document1", "10.5072/panosc-document2"]
    assert {key for each in found for key in each} == {"pid", "isPublic", "type", "title", "score"}


async def test_proposals_of_a_principal_investigator(api: Client) -> None:
    def asked(name: str) -> Any:
        who = include("members", {"role": "principal investigator"}, include("person", {"fullName": name}))
        return {"where": {"type": "proposal"}, "include": [include("datasets"), who]}

    (found,) = await api.get("/api/Documents", filter=asked("James Chadwick"))
    assert len(found["datasets"]) == 2
    assert [(m["role"], m["person"]["fullName"]) for m in found["members"]] == [
        ("principal investigator", "James Chadwick")
    ]
    assert await api.get("/api/Documents", filter=asked("John Smith")) == []


async def test_documents_by_a_parameter_of_theirs_and_of_their_datasets(api: Client) -> None:
    where = quantity("wavelength", {"between": [1000, 1100]}, "nm")
    found = await api.get("/api/Documents", filter={"include": [include("parameters", where)]})
    assert pids(found) == ["10.5072/panosc-document1"]
    (found,) = await api.get(
        "/api/Documents", filter={"include": [include("datasets", None, include("parameters", where))]}
    )
    assert found["pid"] == "10.5072/panosc-document2"
    assert pids(found["datasets"]) == [f"{D}4"]


async def test_documents_by_sample_and_technique_of_their_datasets(api: Client) -> None:
    inner = (
        include("samples", {"name": "solid copper cylinder"}),
        include("techniques", {"name": "x-ray absorption"}),
    )
    (found,) = await api.get("/api/Documents", filter={"include": [include("datasets", None, *inner)]})
    assert found["pid"] == "10.5072/panosc-document2"
    assert [d["samples"][0]["name"] for d in found["datasets"]] == ["solid copper cylinder"] * 2


async def test_documents_by_file(api: Client) -> None:
    (found,) = await api.get(
        "/api/Documents", filter={"include": [include("datasets", None, include("files", {"text": "file1"}))]}
    )
    assert [f["name"] for d in found["datasets"] for f in d["files"]] == ["panosc-file1.hdf"]


async def test_instruments(api: Client) -> None:
    found = await api.get("/api/Instruments")
    assert len(found) == 15
    assert pids(found) == sorted(pids(found))
    (loki,) = await api.get("/api/Instruments", filter={"where": {"and": [{"facility": "ESS"}, {"name": "LoKI"}]}})
    assert loki["name"] == "LoKI"
    assert (await api.get("/api/Instruments/" + quote(loki["pid"], safe="")))["facility"] == "ESS"


async def test_counts_and_files(api: Client) -> None:
    one = "/api/Datasets/" + quote(f"{D}1", safe="")
    assert await api.get("/api/Datasets/count") == {"count": 4}
    assert await api.get("/api/Datasets/count", where={"title": {"like": "%set 2"}}) == {"count": 1}
    assert [f["name"] for f in await api.get(f"{one}/files")] == ["panosc-file1.hdf"]
    assert await api.get(f"{one}/files/count") == {"count": 1}
    assert await api.get(f"{one}/files/count", where={"text": "nothing"}) == {"count": 0}
    assert (await api.get("/api/Datasets/nothing/files"))[0] == 404


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ({"between": [0.88, 0.99]}, "keV", 0.93),
        ({"gte": 0.93}, "keV", 0.93),
        (0.00093, "MeV", 0.00093),
        ({"lt": 1.5e-16}, "J", 1.49002e-16),
    ],
)
async def test_a_value_is_found_and_shown_in_the_unit_asked_for(
    api: Client, value: Any, unit: str, shown: float
) -> None:
    (found,) = await api.get(
        "/api/Datasets", filter={"include": [include("parameters", quantity("photon_energy", value, unit))]}
    )
    assert found["parameters"][0]["unit"] == unit
    assert found["parameters"][0]["value"] == pytest.approx(shown, rel=1e-4)


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ("keV", "eV", 1e3),
        ("Å", "nm", 0.1),
        ("angstrom", "nm", 0.1),
        ("1/nm", "1/m", 1e9),
        ("nm^-1", "m**-1", 1e9),
        ("mol/l", "mol/m^3", 1e3),
        ("%", "dimensionless", 0.01),
        ("bar", "Pa", 1e5),
        ("°C", "kelvin", 274.15),
        ("keV", "nm", None),
        ("furlongs per nonsense", "m/s", None),
    ],
)
def test_units_of_catalogues(source: str, target: str, factor: float | None) -> None:
    assert converted(1, source, target) == (factor if factor is None else pytest.approx(factor))


async def test_temperatures_have_an_offset(api: Client) -> None:
    warm = quantity("temperature", {"between": [293, 294]}, "kelvin")
    (found,) = await api.get("/api/Datasets", filter={"include": [include("parameters", warm)]})
    assert found["parameters"][0]["value"] == pytest.approx(293.15)


@pytest.mark.parametrize(
    "unit", ["nonsense", "m", "9**9**9**9", "__import__('os')", "e" * 64, "eV;DROP", "eV^9999999", ""]
)
async def test_nonsense_units_find_nothing_and_cost_nothing(api: Client, unit: str) -> None:
    started = time.monotonic()
    asked = {"include": [include("parameters", quantity("photon_energy", {"gt": 0}, unit))]}
    assert await api.get("/api/Datasets", filter=asked) == []
    assert time.monotonic() - started < 2


async def test_a_technique_finds_what_is_narrower_in_every_spelling() -> None:
    objects = panosc.specification()
    spelled = ["http://purl.org/pan-science/PaNET/PaNET01198", "PaNET:PaNET01199", "PaNET01322", "PaNET01189"]
    objects["Technique"] = [{"pid": pid, "name": f"technique {n}"} for n, pid in enumerate(spelled)]
    objects["DatasetTechnique"] = [
        {"datasetId": f"{D}{n + 1}", "techniqueId": pid} for n, pid in enumerate(spelled)
    ]
    api = Client(panosc.records(objects))
    for where in (
        {"name": "x-ray absorption spectroscopy"},
        {"text": "X-ray absorption spectroscopy"},
        {"pid": "PaNET01196"},
        {"pid": "PaNET:PaNET01196"},
        {"panetId": "http://purl.org/pan-science/PaNET/PaNET01196"},
        {"pid": {"inq": ["https://w3id.org/PaN/ESRFET#XAS", "panet01196 "]}},
    ):
        found = await api.get("/api/Datasets", filter={"include": [include("techniques", where)]})
        assert pids(found) == [f"{D}{n}" for n in (1, 2, 3)], where
    other = await api.get(
        "/api/Datasets", filter={"include": [include("techniques", {"pid": {"neq": "PaNET01196"}})]}
    )
    assert pids(other) == [f"{D}4"]


async def test_pages_neither_repeat_nor_drop(api: Client) -> None:
    everything = pids(await api.get("/api/Instruments", filter={"limit": 0}))
    for size in (1, 4, 15):
        pages = [
            await api.get("/api/Instruments", filter={"limit": size, "skip": at}) for at in range(0, 15, size)
        ]
        assert [pid for page in pages for pid in pids(page)] == everything
    by_name = await api.get("/api/Instruments", filter={"order": "name DESC", "limit": 2, "skip": 1})
    assert [each["name"] for each in by_name] == ["T-REX", "SKADI"]


@pytest.mark.parametrize("batch", [1, 2, 3, 500])
async def test_joined_pages_neither_repeat_nor_drop_whatever_the_batches(batch: int) -> None:
    api = Client(panosc.records(panosc.specification(), batch))
    joined = {"include": [include("samples", {"text": "copper"})]}
    pages = [await api.get("/api/Datasets", filter={**joined, "limit": 1, "skip": at}) for at in range(5)]
    assert [pids(page) for page in pages] == [[f"{D}1"], [f"{D}2"], [f"{D}3"], [f"{D}4"], []]


async def test_dates_are_instants(api: Client) -> None:
    since = {"where": {"creationDate": {"gte": "2020-05-05T17:01:02.341+02:00"}}}
    assert len(await api.get("/api/Datasets", filter=since)) == 4
    assert await api.get("/api/Datasets", filter={"where": {"creationDate": {"gt": "2020-05-06"}}}) == []


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
    started = time.monotonic()
    status, message = await Client(panosc.records(objects)).get("/api/Datasets", filter={"include": [include("documents", None, include("datasets", None, include("documents", None, include("datasets"))))]})  # fmt: skip
    assert (status, "too much" in message) == (400, True)
    assert time.monotonic() - started < 10


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
    assert (status, message) == (503, "The facility did not answer in time.")
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
