"""The served API against brute force: random records, random filters, every page size."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from central_portal.panosc.filters import parse
from central_portal.panosc.finding import Finder
from central_portal.panosc.models import MODELS
from central_portal.panosc.units import converted
from shared.errors import InvalidRequest
from tests.standins import panosc

TITLES = st.sampled_from(["iron", "Iron oxide", "copper", "a_b", "100%", ""])
SIZES = st.none() | st.integers(0, 4)


@st.composite
def worlds(draw: st.DrawFn) -> panosc.Objects:
    datasets = [
        {"pid": f"d{n}", "title": draw(TITLES), "isPublic": True} | ({"size": size} if size is not None else {})
        for n, size in enumerate(draw(st.lists(SIZES, max_size=6)))
    ]
    documents = [{"pid": f"p{n}", "title": draw(TITLES)} for n in range(draw(st.integers(0, 3)))]
    names = [each["pid"] for each in datasets]
    files = [
        {"id": n, "name": draw(TITLES), "size": draw(st.integers(0, 4)), "datasetId": pid}
        for n, pid in enumerate(draw(st.lists(st.sampled_from(names), max_size=6)) if names else [])
    ]
    pairs = [(p["pid"], d) for p in documents for d in names]
    linked = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    joins = [{"documentId": p, "datasetId": d} for p, d in linked]
    return {"Dataset": datasets, "Document": documents, "File": files, "DocumentDataset": joins}


def conditions(text: str, number: str) -> st.SearchStrategy[Any]:
    value = st.integers(0, 4)
    number_test = st.one_of(
        value,
        st.fixed_dictionaries({}, optional=dict.fromkeys(("lt", "lte", "gt", "gte", "neq"), value)).filter(bool),
        st.builds(lambda a, b: {"between": [a, b]}, value, value),
        st.builds(lambda many: {"inq": many}, st.lists(value, max_size=3)),
        st.builds(lambda many: {"nin": many}, st.lists(value, max_size=3)),
    )
    pattern = st.sampled_from(["%iron%", "i%n", "_o", "%", "a_b", "C%P%"])
    text_test = st.one_of(
        TITLES, st.builds(lambda op, p: {op: p}, st.sampled_from(["like", "ilike", "nlike", "nilike"]), pattern)
    )
    leaf = st.one_of(st.builds(lambda t: {text: t}, text_test), st.builds(lambda t: {number: t}, number_test))
    return st.recursive(
        leaf, lambda inner: st.builds(lambda op, many: {op: many}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)), max_leaves=5
    )  # fmt: skip


def brute(where: Any, row: dict[str, Any]) -> bool:
    for name, test in where.items():
        if name == "and":
            good = all(brute(each, row) for each in test)
        elif name == "or":
            good = any(brute(each, row) for each in test)
        else:
            tests = test if isinstance(test, dict) else {"eq": test}
            good = all(_one(operator, row.get(name), asked) for operator, asked in tests.items())
        if not good:
            return False
    return True


def _one(operator: str, value: Any, asked: Any) -> bool:
    if operator.endswith("like"):
        glob = f"*{asked.replace('%', '*').replace('_', '?')}*"
        flags = re.IGNORECASE if "i" in operator.removesuffix("like") else 0
        found = value is not None and re.match(fnmatch.translate(glob), value, flags) is not None
        return found != operator.startswith("n")
    if operator in ("neq", "nin"):
        return value != asked if operator == "neq" else value not in asked
    if operator in ("eq", "inq"):
        return bool(value == asked) if operator == "eq" else value in asked
    if value is None:
        return False
    return {
        "lt": lambda: value < asked,
        "lte": lambda: value <= asked,
        "gt": lambda: value > asked,
        "gte": lambda: value >= asked,
        "between": lambda: asked[0] <= value <= asked[1],
    }[operator]()


def ask(world: panosc.Objects, model: str, **filter_: Any) -> list[dict[str, Any]]:
    return asyncio.run(Finder(panosc.records(world, batch=2)).find(parse(MODELS[model], json.dumps(filter_))))


@given(worlds(), conditions("title", "size"), conditions("name", "size"))
def test_a_where_and_a_joined_include_are_what_brute_force_says(
    world: panosc.Objects, where: Any, inner: Any
) -> None:
    def files(pid: str) -> list[Any]:
        return [f["id"] for f in world["File"] if f["datasetId"] == pid and brute(inner, f)]

    expected = {d["pid"]: files(d["pid"]) for d in world["Dataset"] if brute(where, d)}
    plain = ask(world, "Dataset", where=where)
    assert [each["pid"] for each in plain] == sorted(expected)
    pages = [ask(world, "Dataset", where=where, limit=2, skip=at) for at in range(0, 6, 2)]
    assert [each for page in pages for each in page] == plain
    found = ask(world, "Dataset", where=where, include=[{"relation": "files", "scope": {"where": inner}}])
    assert {each["pid"]: [f["id"] for f in each["files"]] for each in found} == {
        p: f for p, f in expected.items() if f
    }


@given(worlds(), conditions("title", "size"), conditions("name", "size"), st.integers(1, 4))
def test_nested_joins_and_pages_are_what_brute_force_says(
    world: panosc.Objects, middle: Any, inner: Any, size: int
) -> None:
    inside = {"relation": "files", "scope": {"where": inner}}
    include = [{"relation": "datasets", "scope": {"where": middle, "include": [inside]}}]
    having = {f["datasetId"] for f in world["File"] if brute(inner, f)}
    good = {d["pid"] for d in world["Dataset"] if d["pid"] in having and brute(middle, d)}
    expected: dict[str, set[str]] = {}
    for link in world["DocumentDataset"]:
        if link["datasetId"] in good:
            expected.setdefault(link["documentId"], set()).add(link["datasetId"])
    pages = [ask(world, "Document", include=include, limit=size, skip=at) for at in range(0, 4, size)]
    found = [each for page in pages for each in page]
    assert [each["pid"] for each in found] == sorted(expected)
    assert {each["pid"]: {d["pid"] for d in each["datasets"]} for each in found} == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "where",
                    "include",
                    "relation",
                    "scope",
                    "and",
                    "or",
                    "title",
                    "size",
                    "like",
                    "inq",
                    "limit",
                    "order",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_comes_is_parsed_or_refused_in_one_sentence(given_: Any) -> None:
    for model in MODELS.values():
        try:
            query = parse(model, json.dumps(given_))
        except InvalidRequest as refused:
            assert refused.message.endswith(".")  # noqa: PT017
            assert len(refused.message) < 300  # noqa: PT017
        else:
            assert 1 <= query.limit <= 1000


@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_is_called_a_unit_is_converted_or_not(source: str, target: str) -> None:
    assert converted(1.0, source, source) == 1.0
    found = converted(1.0, source, target)
    assert found is None or isinstance(found, float)
