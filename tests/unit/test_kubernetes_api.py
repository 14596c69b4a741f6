"""The adapter `kubernetes` against servers that are none, its relay, and what it writes down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from facility_agent.adapters.compute import kubernetes_api, kubernetes_watch
from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from facility_agent.adapters.compute.kubernetes_records import Record, Records
from facility_agent.adapters.compute.kubernetes_relay import Relay
from facility_agent.adapters.compute.kubernetes_watch import Mirror
from facility_agent.ports.compute import Observation, RunState
from facility_agent.testing.patience import eventually
from shared.errors import BackendError, BackendUnavailable, Conflict, NotFound, QuotaExceeded

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": server}}], "users": [{"name": "x", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return path


@asynccontextmanager
async def server(folder: Path, answer: Answer) -> AsyncIterator[KubernetesApi]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = KubernetesApi(kubeconfig(folder, f"http://127.0.0.1:{runner.addresses[0][1]}"))
    try:
        yield api
    finally:
        await api.close()
        await runner.cleanup()


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b" " * 65_536)
    except OSError:
        return response


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _deep(_: web.Request) -> web.StreamResponse:
    return web.Response(text="[" * 100_000)


async def _other(_: web.Request) -> web.StreamResponse:
    return web.json_response(["no object"])


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.Response(text="")


@pytest.mark.parametrize("answer", [_endless, _silent, _deep, _other, _nothing], ids=lambda each: each.__name__)
async def test_what_is_no_answer_is_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(kubernetes_api, "WITHIN_S", 0.5)
    monkeypatch.setattr(kubernetes_api, "LONGEST", 2**20)
    monkeypatch.setattr(kubernetes_api, "TRIES", 1)
    async with server(tmp_path, answer) as api, asyncio.timeout(10):
        with pytest.raises(BackendUnavailable):
            await api.ask("GET", "/api/v1/nodes")


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [(404, "", NotFound), (409, "", Conflict), (403, "exceeded quota: none", QuotaExceeded), (403, "x", BackendError),
     (422, "", BackendError), (401, "", BackendUnavailable), (429, "", BackendUnavailable), (503, "", BackendUnavailable)],
)  # fmt: skip
async def test_each_refusal_has_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, message: str, error: type[Exception]
) -> None:
    monkeypatch.setattr(kubernetes_api, "TRIES", 1)

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": f"{message} /secret/path"}, status=status)

    async with server(tmp_path, refuse) as api:
        with pytest.raises(error) as refused:
            await api.ask("POST", "/api/v1/x", body={})
    assert type(refused.value) is error or error is BackendError
    assert "/secret" not in str(refused.value), "the server's words stay in the log"


async def test_without_tls_only_this_machine_is_asked(tmp_path: Path) -> None:
    for address in ("http://192.0.2.1:1", "http://127.0.0.1.example:1", "http://localhost.example:1"):
        api = KubernetesApi(kubeconfig(tmp_path, address))
        with pytest.raises(BackendUnavailable):
            await api.text("/", {})
        assert api._client is None
    with pytest.raises(BackendUnavailable):
        await KubernetesApi(tmp_path / "none").text("/", {})


async def test_a_line_of_a_watch_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_api, "LONGEST_LINE", 2**20)

    async def watched(api: KubernetesApi) -> list[object]:
        async with api.watch("/x", {}, 5) as events:
            return [event async for event in events]

    async with server(tmp_path, _endless) as api, asyncio.timeout(20):
        with pytest.raises(BackendUnavailable):
            await watched(api)


def thing(name: str, version: int, uid: str = "") -> dict[str, object]:
    return {"metadata": {"name": name, "resourceVersion": str(version), "uid": uid or name}}


async def test_what_was_made_while_a_list_was_made_is_not_taken_for_gone(tmp_path: Path) -> None:
    asked, go_on, lists = asyncio.Event(), asyncio.Event(), []

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            lists.append(request.query["resourceVersion"])
            return await _silent(request)
        asked.set()
        await go_on.wait()
        return web.json_response(
            {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [thing("old", 3)]}
        )

    async with server(tmp_path, answer) as api:
        mirror = Mirror(api, "/pods", {})
        watching = asyncio.create_task(mirror.run())
        await asked.wait()
        mirror.put(thing("new", 8))
        go_on.set()
        assert await mirror.listed(5)
        assert set(mirror.objects) == {"old", "new"}

        async def is_watched() -> bool:
            return lists == ["7"]

        await eventually(is_watched, "it watches from the list's version")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_what_a_watch_never_told_of_is_found_by_the_next_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_watch, "RELIST_S", 2)
    there, asked = [thing("a", 1)], list[str]()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": there})
        asked.append(request.query["resourceVersion"])
        assert 1 <= int(request.query["timeoutSeconds"]) <= kubernetes_watch.WATCH_S
        event = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "6"}}}
        return web.Response(text=json.dumps(event) + "\n")

    async with server(tmp_path, answer) as api:
        mirror = Mirror(api, "/pods", {})
        watching = asyncio.create_task(mirror.run())
        assert await mirror.listed(5)
        assert mirror.believed

        async def goes_on() -> bool:
            return {"5", "6"} <= set(asked)

        await eventually(goes_on, "between lists it goes on where it was")
        there[:] = [thing("b", 2)]
        assert await mirror.until(lambda: set(mirror.objects) == {"b"}, 20)
        assert "a" in mirror.gone
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_list_of_many_pages_is_one_list_and_a_page_that_fails_is_none(tmp_path: Path) -> None:
    broken = [True]

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await _silent(request)
        if request.query.get("continue") and broken:
            broken.clear()
            return web.json_response({"kind": "Status", "message": "too old", "code": 410}, status=410)
        more = "" if request.query.get("continue") else "more"
        items = [thing("a", 1)] if more else [thing("b", 2)]
        meta = {"resourceVersion": "9", "continue": more}
        return web.json_response({"kind": "PodList", "metadata": meta, "items": items})

    async with server(tmp_path, answer) as api:
        mirror = Mirror(api, "/pods", {})
        watching = asyncio.create_task(mirror.run())
        assert await mirror.listed(10)
        assert (set(mirror.objects), broken, mirror.relisted) == ({"a", "b"}, [], 1)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_relay_passes_everything_both_ways_and_is_the_agents_alone(tmp_path: Path) -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    far = await asyncio.start_server(upper, "127.0.0.1", 0)
    relay = Relay(tmp_path / "s", "127.0.0.1", far.sockets[0].getsockname()[1])
    (tmp_path / "s").write_text("left behind")
    await relay.open()
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(b"x" * 1_000_000)
    writer.write_eof()
    assert await reader.read() == b"X" * 1_000_000
    writer.close()
    far.close()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    assert await reader.read() == b"", "nobody is there: the connection ends"
    writer.close()
    await relay.close()


async def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = Record((("A", "b"),), made=True, ending=Observation(RunState.GONE, "X", "Y.", None), untidy=True)
    await records.put("one", record)
    await records.change("two", ended=Observation(RunState.GONE, exit_code=0))
    again = Records(tmp_path)
    await again.load()
    assert (again.get("one"), again.untidy()) == (record, ["one"])
    two = again.get("two")
    assert two is not None
    assert two.ended == Observation(RunState.GONE, exit_code=0)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


async def test_changes_at_once_are_all_remembered_and_a_cancelled_one_is_whole(tmp_path: Path) -> None:
    records, ended = Records(tmp_path), Observation(RunState.GONE, "X", "Y.", 3)
    for round_ in range(20):
        name = f"w{round_}"
        changes: tuple[dict[str, object], ...] = ({"made": True}, {"ended": ended}, {"headers": (("A", "b"),)})
        tasks = [asyncio.create_task(records.change(name, **each)) for each in (*changes, {"untidy": True})]
        await asyncio.sleep(0)
        tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await records.change(name, ending=None)  # after whatever the cancelled one has begun
        again = Records(tmp_path)
        await again.load()
        read = again.get(name)
        assert read == records.get(name) == Record((("A", "b"),), made=True, ended=ended, untidy=read.untidy)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"headers": 1, "ended": null}', '{"headers": [[1]], "ended": null}']
)
async def test_a_record_that_cannot_be_read_is_no_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(BackendUnavailable):
        await Records(tmp_path).load()


async def test_what_cannot_be_written_is_not_remembered(tmp_path: Path) -> None:
    records = Records(tmp_path / "none")
    with pytest.raises(BackendError):
        await records.put("one", Record())
    assert records.get("one") is None
