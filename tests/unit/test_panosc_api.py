"""The served PaNOSC search API: the specification's own expectations on its own data, units and techniques.

The cases of the first part are those of `test/{dataset,document,instrument,panet}.test.js` of
panosc-eu/search-api (BSD-2-Clause), made exact where those assert nothing on an empty list.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from central_portal.panosc.units import converted
from tests.panosc_client import Client, include, pids, quantity
from tests.standins import panosc

D = "20.500.12269/panosc-dataset"


@pytest.fixture
def api() -> Client:
    return Client(panosc.records(panosc.specification()))


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
