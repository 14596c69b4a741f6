"""GraphQL of a whole centre: who sees what, what is refused before anything runs, and honest partial answers."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from graphql import build_schema, get_introspection_query

from shared.catalogue import SearchPage
from shared.commands import Answer, Problem, Verb
from shared.facilities import Outcome
from shared.workspaces import WorkspaceInventory, WorkspaceReport, WorkspaceState

pytestmark = pytest.mark.usefixtures("database")
SEARCH = "query($q: SearchInput!, $first: Int, $after: String){search(query:$q, first:$first, after:$after){nodes{pid facility{slug}} pageInfo{hasNextPage endCursor} outcomes{facility{slug} outcome count problem{code}}}}"
LAUNCH = "mutation($i: LaunchWorkspaceInput!){launchWorkspace(input:$i){workspace{uuid state problem{code}} problem{code message}}}"


def portal(**options: Any) -> Any:
    from tests.integration.portal import Portal

    return Portal(**options)


def of(answer: dict[str, Any]) -> dict[str, str]:
    return {o["facility"]["slug"]: o["outcome"] for o in answer["data"]["search"]["outcomes"]}


def test_every_type_and_field_has_a_sentence() -> None:
    schema = build_schema((Path(__file__).parents[2] / "central_portal/api/schema.graphql").read_text())
    silent = []
    for name, kind in schema.type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        silent += [name] if not kind.description else []
        for field, value in (getattr(kind, "fields", None) or getattr(kind, "values", None) or {}).items():
            silent += [f"{name}.{field}"] if not value.description else []
    assert silent == []


async def test_anyone_reads_facilities_and_introspects() -> None:
    centre = portal()
    found = await centre.ask(
        "{me{name} facilities{totalCount nodes{slug state environments{title flavours{slug} facility{slug}} accountLink{state}}}}"
    )
    assert found["data"]["me"] is None
    assert found["data"]["facilities"]["totalCount"] == 2
    assert {n["accountLink"] for n in found["data"]["facilities"]["nodes"]} == {None}
    assert "errors" not in await centre.ask(get_introspection_query())


async def test_a_facilitys_event_invalidates_what_was_kept() -> None:
    from tests.integration.portal import finds

    centre, query = portal(), "{facilities{nodes{slug state}}}"
    assert {n["state"] for n in (await centre.ask(query))["data"]["facilities"]["nodes"]} == {"OFFLINE"}
    await centre.connect("alpha", finds())
    assert (await centre.ask(query))["data"]["facilities"]["nodes"][0]["state"] == "ONLINE"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{" + " ".join(f"a{i}: me{{name}}" for i in range(19)) + " facilities{" + " ".join(f"b{i}: totalCount" for i in range(60)) + "}}", "QUERY_TOO_COMPLEX"),
        ("{facilities{nodes{environments{facility" * 4 + "{slug}" + "}" * 16, "QUERY_TOO_COMPLEX"),
        ("{ " + "me{name} " * 25 + "}", "QUERY_TOO_COMPLEX"),
        ("{facilities{nodes{...A}}} fragment A on Facility{...A}", "QUERY_TOO_COMPLEX"),
        ("{facilities{nodes{...A0}}}" + "".join(f" fragment A{i} on Facility{{...A{i+1} ...A{i+1} ...A{i+1} ...A{i+1}}}" for i in range(12)) + " fragment A12 on Facility{slug}", "QUERY_TOO_COMPLEX"),
        ("query($n: Int){facilities(first: $n){nodes{environments{facility{environments{facility{environments{software{name}}}}}}}}}", "QUERY_TOO_COMPLEX"),
        ("{facilities{nodes{...Nobody}}}", "BAD_DOCUMENT"),
        ("{" + "x " * 3000 + "}", "BAD_DOCUMENT"),
        ("{nothing}", "BAD_DOCUMENT"),
        ("{" * 3000, "BAD_DOCUMENT"),
    ],
)  # fmt: skip
async def test_hostile_documents_are_refused_before_anything_runs(query: str, code: str) -> None:
    centre = portal()
    answer = await centre.ask(query, {"n": 100})
    assert answer["status"] == 400
    assert answer["errors"][0]["extensions"]["code"] == code
    assert "data" not in answer
    assert centre.agents.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 70_000, 413),
        (b"not json", 400),
        (b"[]", 400),
        (b'{"query": 1}', 400),
        (b'{"query": "{me{name}}", "variables": 3}', 400),
    ],
)
async def test_malformed_requests_get_one_sentence(body: bytes, status: int) -> None:
    given_status, answer = await portal().post(body)
    assert given_status == status
    assert len(json.loads(answer)["errors"]) == 1


async def test_search_waits_for_nobody_and_names_the_missing() -> None:
    from tests.integration.portal import dataset, finds

    async def never(*_: Any) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    centre = portal(slugs=("alpha", "beta", "gamma", "delta"), deadline=0.2)
    await centre.connect("alpha", finds(dataset("a1", 5.0), dataset("a2", 1.0)))
    await centre.connect("beta", never)

    async def lies(*_: Any) -> Answer:
        return Answer(Outcome.OK, SearchPage((dataset("x", 1.0), dataset("y", 9.0))))

    await centre.connect("gamma", lies)
    begun = time.monotonic()
    answer = await centre.ask(SEARCH, {"q": {}})
    assert time.monotonic() - begun < 1.0
    assert of(answer) == {"alpha": "OK", "beta": "TIMED_OUT", "gamma": "FAILED", "delta": "OFFLINE"}
    assert [n["pid"] for n in answer["data"]["search"]["nodes"]] == ["a1", "a2"]


async def test_without_a_grant_open_data_and_what_to_do() -> None:
    from tests.integration.portal import dataset, finds

    centre = portal()
    for slug in ("alpha", "beta"):
        await centre.connect(slug, finds(dataset(f"{slug}1", 1.0)))
    cookie = await centre.person("ida", "alpha")
    answer = await centre.ask(SEARCH, {"q": {}}, cookie)
    assert of(answer) == {"alpha": "OK", "beta": "SIGN_IN_NEEDED"}
    assert {(slug, bool(grant)) for slug, _, grant in centre.agents.asked} == {("alpha", True), ("beta", False)}
    assert len(answer["data"]["search"]["nodes"]) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"since": "yesterday"},
        {"text": "x" * 300},
        {"facilities": ["Facility:nowhere"]},
        {"facilities": ["nonsense"]},
        {"since": "2026-02-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    ],
)
async def test_nonsense_in_a_search_asks_nobody(bad: dict[str, Any]) -> None:
    from tests.integration.portal import finds

    centre = portal()
    await centre.connect("alpha", finds())
    answer = await centre.ask(SEARCH, {"q": bad})
    assert answer["errors"], answer
    assert centre.agents.asked == []


# --- workspaces


def wish(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "i": {
            "id": number, "environment": "Environment:alpha:jupyter", "flavour": "Flavour:alpha:small", "proposals": ["P1"],
            "title": "T", "lifetimeSeconds": 600, **changes,
        }
    }  # fmt: skip


async def started(command: Any, _: Any) -> Answer:
    if command.verb is Verb.STOP:
        return Answer(Outcome.OK, WorkspaceReport(command.parameters.workspace_id, 9, WorkspaceState.ENDED))
    return Answer(Outcome.OK, WorkspaceReport(command.command_id, 1, WorkspaceState.STARTING))


async def test_a_launch_is_one_workspace_however_often_it_is_sent() -> None:
    centre, number = portal(), str(uuid.uuid4())
    await centre.connect("alpha", started)
    cookie = await centre.person("lea", "alpha")
    for _ in range(2):
        answer = await centre.ask(LAUNCH, wish(number), cookie)
        assert answer["data"]["launchWorkspace"]["workspace"]["uuid"] == number
    assert [verb for _, verb, _ in centre.agents.asked] == [Verb.LAUNCH]
    other = await centre.ask(LAUNCH, wish(number, title="Other"), cookie)
    assert other["data"]["launchWorkspace"]["problem"]["code"] == "CONFLICT"
    thief = await centre.person("mia", "alpha")
    stolen = await centre.ask(LAUNCH, wish(number), thief)
    assert stolen["data"]["launchWorkspace"]["problem"]["code"] == "CONFLICT"
    assert len(centre.agents.asked) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"flavour": "Flavour:alpha:huge"}, "FLAVOUR_TOO_LARGE"), ({"lifetimeSeconds": 999_999}, "FLAVOUR_TOO_LARGE"),
        ({"environment": "Environment:alpha:nothing"}, "NOT_FOUND"), ({"environment": "Environment:nowhere:jupyter", "flavour": "Flavour:nowhere:small"}, "NOT_FOUND"),
        ({"flavour": "Flavour:beta:small"}, "INVALID_REQUEST"), ({"id": "not-a-uuid"}, "INVALID_REQUEST"),
        ({"dataset": "Dataset:beta:x"}, "INVALID_REQUEST"), ({"proposals": [f"P{i}" for i in range(30)]}, "INVALID_REQUEST"),
    ],
)  # fmt: skip
async def test_a_launch_that_cannot_be_changes_nothing(changes: dict[str, Any], code: str) -> None:
    centre = portal()
    await centre.connect("alpha", started)
    cookie = await centre.person(f"nil{code}{len(str(changes))}", "alpha")
    answer = await centre.ask(LAUNCH, wish(str(uuid.uuid4()), **changes), cookie)
    assert answer["data"]["launchWorkspace"]["problem"]["code"] == code
    assert centre.agents.asked == []
    listed = await centre.ask("{workspaces{totalCount}}", cookie=cookie)
    assert listed["data"]["workspaces"]["totalCount"] == 0


async def test_strangers_and_the_ungranted_start_nothing() -> None:
    centre = portal()
    await centre.connect("alpha", started)
    nobody = await centre.ask(LAUNCH, wish(str(uuid.uuid4())))
    assert nobody["data"]["launchWorkspace"]["problem"]["code"] == "UNAUTHENTICATED"
    ungranted = await centre.ask(LAUNCH, wish(str(uuid.uuid4())), await centre.person("oli"))
    assert ungranted["data"]["launchWorkspace"]["problem"]["code"] == "SIGN_IN_NEEDED"
    assert centre.agents.asked == []


async def test_another_persons_workspace_does_not_exist() -> None:
    centre, number = portal(), str(uuid.uuid4())
    await centre.connect("alpha", started)
    owner, other = await centre.person("pam", "alpha"), await centre.person("quin", "alpha")
    await centre.ask(LAUNCH, wish(number), owner)
    look = "query($i: ID!){workspace(id:$i){uuid} node(id:$i){id}}"
    assert (await centre.ask(look, {"i": f"Workspace:{number}"}, owner))["data"]["workspace"]["uuid"] == number
    assert (await centre.ask(look, {"i": f"Workspace:{number}"}, other))["data"] == {
        "workspace": None,
        "node": None,
    }
    stop = "mutation($i: StopWorkspaceInput!){stopWorkspace(input:$i){problem{code}}}"
    refused = await centre.ask(stop, {"i": {"id": f"Workspace:{number}"}}, other)
    assert refused["data"]["stopWorkspace"]["problem"]["code"] == "NOT_FOUND"
    assert [verb for _, verb, _ in centre.agents.asked] == [Verb.LAUNCH]


async def test_a_refusal_by_the_facility_is_a_failed_workspace_with_its_reason() -> None:
    async def refuses(*_: Any) -> Answer:
        return Answer(Outcome.DENIED, problem=Problem("PROPOSAL_DENIED", "Your account is not a member of P1."))

    centre = portal()
    await centre.connect("alpha", refuses)
    answer = await centre.ask(LAUNCH, wish(str(uuid.uuid4())), await centre.person("ray", "alpha"))
    made = answer["data"]["launchWorkspace"]["workspace"]
    assert (made["state"], made["problem"]["code"]) == ("FAILED", "PROPOSAL_DENIED")


async def test_reports_of_another_facility_and_older_ones_change_nothing() -> None:
    centre, number = portal(), str(uuid.uuid4())
    await centre.connect("alpha", started)
    await centre.connect("beta", started)
    cookie = await centre.person("sam", "alpha")
    await centre.ask(LAUNCH, wish(number), cookie)
    await centre.reports.reported("beta", centre.epochs["beta"], WorkspaceReport(number, 99, WorkspaceState.ENDED))
    await centre.reports.reported(
        "alpha", centre.epochs["alpha"], WorkspaceReport(number, 3, WorkspaceState.RUNNING)
    )
    await centre.reports.reported(
        "alpha", centre.epochs["alpha"], WorkspaceReport(number, 2, WorkspaceState.FAILED)
    )
    look = "query($i: ID!){workspace(id:$i){state openUrl sequence}}"
    seen = (await centre.ask(look, {"i": f"Workspace:{number}"}, cookie))["data"]["workspace"]
    assert (seen["state"], seen["sequence"]) == ("RUNNING", 3)
    await centre.reports.inventory("alpha", centre.epochs["alpha"], WorkspaceInventory())
    seen = (await centre.ask(look, {"i": f"Workspace:{number}"}, cookie))["data"]["workspace"]
    assert seen["state"] == "UNKNOWN", "an empty inventory ends nothing"
    await centre.reports.reported(
        "alpha", centre.epochs["alpha"], WorkspaceReport(number, 3, WorkspaceState.RUNNING)
    )
    seen = (await centre.ask(look, {"i": f"Workspace:{number}"}, cookie))["data"]["workspace"]
    assert (seen["state"], seen["sequence"]) == ("RUNNING", 3), "the facility knows it after all"


async def test_an_inventory_that_says_nothing_new_costs_the_same_however_long_it_is() -> None:
    centre = portal()
    await centre.connect("alpha", started)
    cookie = await centre.person("sam", "alpha")
    numbers = [str(uuid.uuid4()) for _ in range(12)]
    for number in numbers:
        await centre.ask(LAUNCH, wish(number), cookie)
    reports = tuple(WorkspaceReport(number, 3, WorkspaceState.RUNNING) for number in numbers)
    epoch = centre.epochs["alpha"]
    await centre.reports.inventory("alpha", epoch, WorkspaceInventory(reports))
    assert await _statements(centre, epoch, reports[:1]) == await _statements(centre, epoch, reports)


async def _statements(centre: Any, epoch: int, reports: tuple[WorkspaceReport, ...]) -> int:
    """How many statements an inventory takes that says nothing new."""
    from central_portal.database import in_database
    from central_portal.workspaces.reports import _fold_reports, _Reported

    def count() -> int:
        with transaction.atomic(), CaptureQueriesContext(connection) as captured:
            _fold_reports([_Reported("alpha", epoch, reports, time.time())])
        return len(captured)

    return int(await in_database(count)())
