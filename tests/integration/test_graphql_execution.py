"""Plans against graphql-core's own way: the same answers, the same errors, and a bounded size."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import ExecutionContext, execute, parse
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("database")


def both(query: str, facilities: list[dict[str, Any]]) -> tuple[Any, Any]:
    """The result of the planned and of the usual way."""
    from central_portal.api.build import make_schema
    from central_portal.api.execute import PlainContext

    schema = make_schema()
    assert schema.query_type is not None
    schema.query_type.fields["facilities"].resolve = lambda *_, **__: {"nodes": facilities, "totalCount": 1}
    results = []
    for kind in (PlainContext, ExecutionContext):
        done: Any = execute(schema, parse(query), execution_context_class=kind)
        errors = [(e.message, e.path) for e in done.errors or ()]
        results.append((done.data, errors))
    return results[0], results[1]


def facility(name: Any = "Alpha", **more: Any) -> dict[str, Any]:
    size = {"id": "s", "slug": "s", "title": "S", "cpus": 1, "memory": 1.0}
    home: dict[str, Any] = {"id": "f", "slug": "f", "name": name, "flavours": [size], "describedAt": 5.0}
    home["environments"] = [{"id": "e", "slug": "e", "usedAs": "NOTEBOOK", "flavours": [size], "facility": home}]
    return home | more


@pytest.mark.parametrize(
    "query",
    [
        "{facilities{nodes{name again: name slug}}}",
        "{facilities{__typename nodes{__typename name environments{__typename slug}}}}",
        "{facilities{nodes{...A environments{title: slug}}}} fragment A on Facility{environments{slug}}",
        "{facilities{nodes{environments{...E facility{name ...F}} ...F}}}"
        " fragment E on Environment{slug usedAs} fragment F on Facility{environments{...E}}",
        "{a: facilities{nodes{...F}} b: facilities{nodes{...F environments{usedAs}}}}"
        " fragment F on Facility{environments{slug}}",
        "{facilities{nodes{name @skip(if: true) slug @include(if: false) id ... on Node{id} ... on Facility{place: name}}}}",
        "{facilities{nodes{describedAt website state}}}",
        "{facilities{nodes{environments{recommendedFlavour{slug} flavours{memory cpus}}}}}",
    ],
)
def test_a_plan_answers_as_the_usual_way_does(query: str) -> None:
    planned, usual = both(query, [facility(state="ONLINE"), facility("Beta", state="OFFLINE")])
    assert planned == usual
    assert planned[0] is not None


@pytest.mark.parametrize(
    ("change", "query"),
    [
        ({"name": None}, "{facilities{nodes{slug name}}}"),
        ({"state": "SIDEWAYS"}, "{facilities{nodes{slug state}}}"),
        ({"describedAt": 1e300}, "{facilities{nodes{slug describedAt}}}"),
        ({"describedAt": "soon"}, "{facilities{nodes{slug describedAt}}}"),
        ({"flavours": [{"cpus": 2**40}]}, "{facilities{nodes{slug flavours{cpus}}}}"),
        ({"accountLink": {"state": "LINKED", "grant": {"expiresAt": None}}}, "{facilities{nodes{accountLink{grant{expiresAt}}}}}"),
        ({"capabilities": None}, "{facilities{nodes{slug capabilities{id}}}}"),
    ],
)  # fmt: skip
def test_what_the_schema_forbids_is_reported_where_it_is(change: dict[str, Any], query: str) -> None:
    planned, usual = both(query, [facility(), facility(**change)])
    assert planned == usual
    assert planned[1]


LEAVES = st.sampled_from(["id", "slug", "name", "t: __typename", "x: slug"])
SELECTIONS = st.recursive(
    st.lists(LEAVES, min_size=1, max_size=3).map(" ".join),
    lambda inner: st.one_of(
        inner.map(lambda s: f"slug environments{{slug facility{{{s}}}}}"),
        inner.map(lambda s: f"... on Facility{{{s}}} environments{{id}}"),
        st.tuples(inner, inner).map(" ".join),
    ),
    max_leaves=6,
)


@given(SELECTIONS)
@settings(max_examples=80, deadline=None)
def test_any_selection_is_planned_truly(selection: str) -> None:
    planned, usual = both(f"{{facilities{{nodes{{{selection}}}}}}}", [facility()])
    assert planned == usual


def test_an_answer_that_grows_too_large_is_refused_whatever_the_guard_estimated() -> None:
    from central_portal.api.build import make_schema
    from central_portal.api.execute import OBJECTS, PlainContext

    home = facility()
    home["environments"] = [{"slug": "e", "facility": home}] * 200
    schema = make_schema()
    assert schema.query_type is not None
    schema.query_type.fields["facilities"].resolve = lambda *_, **__: {"nodes": [home]}
    query = "{facilities{nodes{environments{facility{environments{facility{environments{slug}}}}}}}}"
    done: Any = execute(schema, parse(query), execution_context_class=PlainContext)
    assert done.data is None
    assert [e.extensions["code"] for e in done.errors] == ["QUERY_TOO_COMPLEX"]
    assert OBJECTS < 200**3


async def test_a_kept_plan_answers_each_request_by_its_own_variables() -> None:
    from tests.integration.portal import Portal, finds

    portal = Portal()
    for slug in ("alpha", "beta"):
        await portal.connect(slug, finds())
    plain = "query($n: Int){facilities(first: $n){nodes{slug state}}}"
    chosen = "query($yes: Boolean!){facilities{nodes{slug state @include(if: $yes)}}}"
    for _ in range(2):
        for n in (1, 2):
            nodes = (await portal.ask(plain, {"n": n}))["data"]["facilities"]["nodes"]
            assert nodes == [{"slug": s, "state": "ONLINE"} for s in ("alpha", "beta")[:n]]
        for yes in (True, False):
            nodes = (await portal.ask(chosen, {"yes": yes}))["data"]["facilities"]["nodes"]
            assert [set(node) for node in nodes] == [{"slug", "state"} if yes else {"slug"}] * 2


REPEATED = [
    "{me{" + "name " * 60 + "}}",
    "{me{name}} fragment Unused on Me{" + "name " * 60 + "}",
    "{me{" + " ".join(f"...F{i}" for i in range(60)) + "}}" + "".join(f" fragment F{i} on Me{{name}}" for i in range(60)),
    "{me{" + "...{name}" * 60 + "}}",
    "{me{" + "a: name " * 60 + "}}",
]  # fmt: skip


@pytest.mark.parametrize("query", REPEATED)
async def test_names_that_validation_would_compare_in_pairs_are_refused_before_it(query: str) -> None:
    from tests.integration.portal import Portal

    answer = await Portal().ask(query)
    assert answer["status"] == 400
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["QUERY_TOO_COMPLEX"]
    assert "data" not in answer


async def test_a_variables_default_counts_as_what_it_stands_for() -> None:
    from tests.integration.portal import Portal

    inner = "environments{flavours{slug} facility{environments{software{name} flavours{slug cpus}}}}"
    query = "query($n: Int = %d){facilities(first: $n){nodes{" + inner + "}}}"
    assert "errors" not in await Portal().ask(query % 3)
    assert (await Portal().ask(query % 100))["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert "errors" not in await Portal().ask(query % 100, {"n": 3})
