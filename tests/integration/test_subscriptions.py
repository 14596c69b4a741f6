"""graphql-transport-ws: the protocol, whose events one sees, and when the socket ends."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from shared.commands import Answer
from shared.facilities import Outcome
from shared.workspaces import WorkspaceReport, WorkspaceState

pytestmark = pytest.mark.usefixtures("database")
CHANGED = "subscription{workspaceChanged{uuid state sequence}}"
PROGRESS = "subscription($q: SearchInput!){searchProgress(query:$q){done nodes{pid} outcomes{outcome}}}"


class Socket:
    """The browser's end of one socket."""

    def __init__(self, portal: Any, cookie: str, protocol: str) -> None:
        from central_portal.api.build import build_api
        from central_portal.identity.services import COOKIE

        headers = [(b"cookie", f"{COOKIE}={cookie}".encode())] if cookie else []
        scope = {"type": "websocket", "path": "/graphql", "headers": headers, "subprotocols": [protocol]}
        # Not channels' own communicator: importing it needs daphne.
        self._end = ApplicationCommunicator(build_api(portal.services).websocket, scope)

    async def open(self) -> dict[str, Any]:
        """How the handshake was answered."""
        await self._end.send_input({"type": "websocket.connect"})
        answer: dict[str, Any] = await self._end.receive_output(timeout=5)
        return answer

    async def tell(self, **message: Any) -> None:
        await self.raw(json.dumps(message))

    async def raw(self, text: str) -> None:
        await self._end.send_input({"type": "websocket.receive", "text": text})

    async def told(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((await self._end.receive_output(timeout=5))["text"])
        return message

    async def silent(self) -> bool:
        """Whether nothing more is told for a moment."""
        return await self._end.receive_nothing(timeout=0.2)

    async def code(self) -> int:
        """The code it was closed with; what was told before is passed over."""
        while True:
            message = await self._end.receive_output(timeout=5)
            if message["type"] == "websocket.close":
                return int(message["code"])

    async def subscribe(self, name: str, query: str, **variables: Any) -> None:
        await self.tell(id=name, type="subscribe", payload={"query": query, "variables": variables})

    async def leave(self) -> None:
        await self._end.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._end.wait(timeout=5)


def centre(**options: Any) -> Any:
    from tests.integration.portal import Portal

    return Portal(**options)


@asynccontextmanager
async def socket(portal: Any, cookie: str = "") -> AsyncIterator[Socket]:
    """An initialised socket."""
    end = Socket(portal, cookie, "graphql-transport-ws")
    assert (await end.open()).items() >= {
        "type": "websocket.accept",
        "subprotocol": "graphql-transport-ws",
    }.items()
    await end.tell(type="connection_init")
    assert await end.told() == {"type": "connection_ack"}
    try:
        yield end
    finally:
        await end.leave()


async def starts(command: Any, _: Any) -> Answer:
    return Answer(Outcome.OK, WorkspaceReport(command.command_id, 1, WorkspaceState.STARTING))


async def launched(portal: Any, cookie: str) -> str:
    number = str(uuid.uuid4())
    wish = {
        "id": number, "environment": "Environment:alpha:jupyter", "flavour": "Flavour:alpha:small",
        "proposals": [], "title": "T", "lifetimeSeconds": 600,
    }  # fmt: skip
    mutation = "mutation($i: LaunchWorkspaceInput!){launchWorkspace(input:$i){problem{code}}}"
    assert (await portal.ask(mutation, {"i": wish}, cookie))["data"]["launchWorkspace"]["problem"] is None
    return number


async def test_a_search_comes_in_slices_and_completes() -> None:
    from tests.integration.portal import dataset, finds

    seen = asyncio.Event()

    async def waits(command: Any, sealed: Any) -> Answer:
        await seen.wait()
        return await finds(dataset("b", 2.0))(command, sealed)

    portal = centre(deadline=30.0)
    await portal.connect("alpha", finds(dataset("a", 1.0)))
    await portal.connect("beta", waits)
    async with socket(portal) as end:
        await end.subscribe("s", PROGRESS, q={})
        first = (await end.told())["payload"]["data"]["searchProgress"]
        assert (first["done"], first["nodes"]) == (False, [{"pid": "a"}])
        seen.set()
        last = (await end.told())["payload"]["data"]["searchProgress"]
        assert (last["done"], last["nodes"]) == (True, [{"pid": "b"}, {"pid": "a"}])
        assert await end.told() == {"id": "s", "type": "complete"}


async def test_a_query_works_on_the_socket_too_and_a_mistake_is_an_error() -> None:
    async with socket(centre()) as end:
        await end.subscribe("q", "{facilities{totalCount}}")
        assert (await end.told())["payload"] == {"data": {"facilities": {"totalCount": 2}}}
        assert (await end.told())["type"] == "complete"
        for query, code in (("{nothing}", "BAD_DOCUMENT"), ("{me{" + "name " * 60 + "}}", "QUERY_TOO_COMPLEX")):
            await end.subscribe("q", query)
            refused = await end.told()
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", code)
        await end.tell(type="ping")
        assert await end.told() == {"type": "pong"}


async def test_only_the_owner_hears_of_a_workspace() -> None:
    portal = centre()
    await portal.connect("alpha", starts)
    owner, other = await portal.person("owner-ws", "alpha"), await portal.person("other-ws", "alpha")
    number, foreign = await launched(portal, owner), await launched(portal, other)
    async with socket(portal, owner) as mine, socket(portal, other) as theirs, socket(portal) as nobody:
        for end in (mine, theirs, nobody):
            await end.subscribe("w", CHANGED)
        refused = await nobody.told()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
        assert (await mine.told())["payload"]["data"]["workspaceChanged"]["uuid"] == number
        assert (await theirs.told())["payload"]["data"]["workspaceChanged"]["uuid"] == foreign
        await portal.reports.reported(
            "alpha", portal.epochs["alpha"], WorkspaceReport(number, 2, WorkspaceState.RUNNING)
        )
        await portal.reports.reported(
            "alpha", portal.epochs["alpha"], WorkspaceReport(foreign, 7, WorkspaceState.RUNNING)
        )
        changed = {"uuid": number, "state": "RUNNING", "sequence": 2}
        assert (await mine.told())["payload"]["data"]["workspaceChanged"] == changed
        # The owner's event came first: had it gone to the other person, it would be here before their own.
        assert (await theirs.told())["payload"]["data"]["workspaceChanged"]["uuid"] == foreign


async def test_a_facility_that_goes_makes_its_workspaces_unknown_on_the_socket() -> None:
    portal = centre()
    await portal.connect("alpha", starts)
    cookie = await portal.person("goes-ws", "alpha")
    await launched(portal, cookie)
    async with socket(portal, cookie) as end:
        await end.subscribe("w", CHANGED)
        assert (await end.told())["payload"]["data"]["workspaceChanged"]["state"] == "STARTING"
        await portal.disconnect("alpha")
        assert (await end.told())["payload"]["data"]["workspaceChanged"]["state"] == "UNKNOWN"


async def test_sign_out_and_renewal_close_the_socket_and_nothing_follows() -> None:
    from central_portal.identity.services import COOKIE

    portal = centre()
    await portal.connect("alpha", starts)
    for how in ("end", "renew"):
        cookie = await portal.person(f"leaves-{how}", "alpha")
        number = await launched(portal, cookie)
        async with socket(portal, cookie) as end:
            await end.subscribe("w", CHANGED)
            await end.told()
            if how == "end":
                await portal.identity.end(caller=await portal.identity.caller({COOKIE: cookie}))
            else:
                assert await portal.identity.renew(cookie)
            await portal.reports.reported(
                "alpha", portal.epochs["alpha"], WorkspaceReport(number, 2, WorkspaceState.RUNNING)
            )
            assert await end.code() == 4401
            await end.subscribe("late", "{facilities{totalCount}}")
            assert await end.silent()


async def test_a_session_that_expires_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    portal = centre()
    cookie = await portal.person("expires-ws")
    later = time.time() + 3599.8  # the session lives an hour
    monkeypatch.setattr("central_portal.api.socket.time.time", lambda: later)
    end = Socket(portal, cookie, "graphql-transport-ws")
    await end.open()
    await end.tell(type="connection_init")
    assert await end.code() == 4401


async def test_whoever_is_signed_out_unnoticed_is_found_out_at_the_next_operation() -> None:
    from central_portal.database import in_database
    from central_portal.identity.models import PortalSession

    portal = centre()
    cookie = await portal.person("vanishes-ws")
    async with socket(portal, cookie) as end:
        await in_database(PortalSession.objects.filter(person__sub="vanishes-ws").delete)()
        await end.subscribe("w", CHANGED)
        assert await end.code() == 4401


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["no json"], 4400),
        (["[1]"], 4400),
        (['{"type": "nonsense"}'], 4400),
        (['{"type": "connection_init"}', '{"type": "connection_init"}'], 4429),
        (['{"type": "subscribe", "id": "a", "payload": {"query": "{me{name}}"}}'], 4401),
        (['{"type": "connection_init"}', '{"type": "subscribe", "id": "", "payload": {}}'], 4400),
        (['{"type": "connection_init"}', '{"type": "subscribe", "id": "a", "payload": []}'], 4400),
        (['{"type": "connection_init"}', "x" * 70_000], 4400),
    ],
)
async def test_what_breaks_the_protocol_is_closed_with_its_code(messages: list[str], code: int) -> None:
    end = Socket(centre(), "", "graphql-transport-ws")
    await end.open()
    for message in messages:
        await end.raw(message)
    assert await end.code() == code


async def test_another_protocol_is_not_accepted() -> None:
    assert (await Socket(centre(), "", "graphql-ws").open())["type"] == "websocket.close"


async def test_one_id_is_used_once_at_a_time_and_operations_are_bounded() -> None:
    from central_portal.api.socket import OPERATIONS

    portal = centre()
    cookie = await portal.person("many-ws")
    async with socket(portal, cookie) as end:
        for number in range(OPERATIONS):
            await end.subscribe(f"w{number}", CHANGED)
        await end.subscribe("more", CHANGED)
        refused = await end.told()
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("more", "RATE_LIMITED")
        await end.tell(id="w0", type="complete")
        await end.subscribe("q", "{facilities{totalCount}}")
        assert (await end.told())["type"] == "next"
        await end.subscribe("w1", CHANGED)
        assert await end.code() == 4409


async def test_a_completed_subscription_stops_its_questions() -> None:
    asked, stopped = asyncio.Event(), asyncio.Event()

    async def never(*_: Any) -> Answer:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    portal = centre(deadline=30.0)
    await portal.connect("alpha", never)
    async with socket(portal) as end:
        await end.subscribe("s", PROGRESS, q={})
        await asyncio.wait_for(asked.wait(), 5)
        await end.tell(id="s", type="complete")
        await asyncio.wait_for(stopped.wait(), 5)


async def test_a_fault_of_ours_is_told_with_a_reference_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    portal = centre()
    cookie = await portal.person("fault-ws")

    async def breaks(_: Any) -> None:
        raise RuntimeError("the database's secret")

    async with socket(portal, cookie) as end:
        monkeypatch.setattr(portal.identity, "refresh", breaks)
        await end.subscribe("w", CHANGED)
        error = (await end.told())["payload"][0]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "secret" not in json.dumps(error)
    assert error["extensions"]["metadata"]["reference"] in caplog.text
