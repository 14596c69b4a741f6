"""A cluster that answers badly: what is not known is unknown, nothing runs twice, nothing is forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from facility_agent.adapters.compute import kubernetes, kubernetes_watch
from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.ports.compute import RunState
from facility_agent.testing.patience import eventually
from shared.errors import BackendUnavailable, ParasolError
from tests.privileged.kube_cluster import Cluster
from tests.privileged.kube_faults import FaultProxy
from tests.privileged.kube_site import KubeSite, kube_site

pytestmark = pytest.mark.needs("root", "kubernetes")


@pytest.fixture
async def proxy(cluster: Cluster) -> FaultProxy:
    return FaultProxy(cluster.server, cluster.authority)


@pytest.fixture
async def site(cluster: Cluster, proxy: FaultProxy) -> AsyncIterator[KubeSite]:
    async with proxy.running() as address, kube_site(cluster, address) as site:
        yield site
        proxy.fault = None


def sees(backend: KubernetesCompute, handle: str, *states: RunState) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await backend.inspect([handle]))[handle].state in states

    return look


async def running(site: KubeSite) -> tuple[KubernetesCompute, str]:
    backend, spec = site.backend(), site.spec()
    handle = await backend.start(spec, site.account)
    await eventually(runs(backend, handle), "it runs", site.patience_s)
    return backend, handle


def runs(backend: KubernetesCompute, handle: str) -> Callable[[], Awaitable[bool]]:
    """Whether it does; what has ended will not."""

    async def look() -> bool:
        seen = (await backend.inspect([handle]))[handle]
        assert seen.state is not RunState.GONE, f"it will not run: {seen}"
        return seen.state is RunState.RUNNING

    return look


def html(status: int) -> web.Response:
    return web.Response(status=status, text="<html>maintenance</html>", content_type="text/html")


async def _html(_: web.Request) -> web.Response:
    return html(200)


async def _busy(_: web.Request) -> web.Response:
    return html(429)


async def _broken(_: web.Request) -> web.Response:
    return html(500)


async def _not_here(_: web.Request) -> web.Response:
    return html(404)


async def _half(request: web.Request) -> web.StreamResponse:
    half = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await half.prepare(request)
    await half.write(b'{"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": [')
    assert request.transport is not None
    request.transport.abort()
    return half


async def _no_list(_: web.Request) -> web.Response:
    return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})


FAULTS = {f.__name__: f for f in (_html, _busy, _broken, _not_here, _half, _no_list)}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_server_that_answers_badly_ends_nothing(
    site: KubeSite, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(kubernetes_watch, "STALE_S", 0.5)
    monkeypatch.setattr(kubernetes_watch, "LONGEST_PAUSE_S", 1)
    monkeypatch.setattr(kubernetes, "FIRST_S", 1)
    backend, handle = await running(site)
    proxy.fault = FAULTS[fault]
    proxy.cut_watches()
    await eventually(sees(backend, handle, RunState.UNKNOWN), "it is unknown, not gone")
    with pytest.raises(BackendUnavailable):
        await backend.list_owned()
    with pytest.raises(ParasolError):
        await backend.stop(handle)
    fresh = site.spec()
    with pytest.raises(ParasolError):
        await backend.start(fresh, site.account)
    restarted = site.backend()
    assert (await restarted.inspect([handle]))[handle].state is RunState.UNKNOWN
    with pytest.raises(BackendUnavailable):
        await restarted.list_owned()
    await site.runs(handle)
    assert [pod["metadata"].get("deletionTimestamp") for pod in site.pods(handle)] == [None]
    proxy.fault = None
    await eventually(sees(backend, handle, RunState.RUNNING), "it is seen again", 60)
    assert len(site.pods(handle)) == 1
    assert site.pods(fresh.workspace_id) == []


@pytest.mark.parametrize("fault", ["_busy", "_broken", "_half"])
async def test_a_server_that_stumbles_is_asked_again(site: KubeSite, proxy: FaultProxy, fault: str) -> None:
    left = {"GET": 1, "POST": 2}

    async def stumble(request: web.Request) -> web.StreamResponse | None:
        if "watch" not in request.query and left.get(request.method, 0) > 0:
            left[request.method] -= 1
            return await FAULTS[fault](request)
        return None

    proxy.fault = stumble
    _, handle = await running(site)
    assert left == {"GET": 0, "POST": 0}
    assert len(site.pods(handle)) == 1


async def test_an_order_whose_answer_is_lost_makes_one(site: KubeSite, proxy: FaultProxy) -> None:
    proxy.cut_after_effect = 1
    _, handle = await running(site)
    assert proxy.cut_after_effect == 0
    assert len(site.pods(handle)) == 1


async def test_an_order_whose_answers_are_all_lost_leaves_nothing(site: KubeSite, proxy: FaultProxy) -> None:
    proxy.cut_after_effect = 1
    taken: list[str] = []

    async def then_down(request: web.Request) -> web.StreamResponse | None:
        pods = request.path.endswith("/pods") and request.method == "POST"
        taken.append("pod" if pods else "")
        return html(500) if pods and taken.count("pod") > 1 else None

    proxy.fault = then_down
    # No node takes it: a kubelet needs long to end what has only begun.
    backend, spec = site.backend(node_selector={"parasol/none": "such"}, grows=True), site.spec()
    with pytest.raises(BackendUnavailable):
        await backend.start(spec, site.account)
    assert taken.count("pod") > 1

    async def is_removed() -> bool:
        return site.pods(spec.workspace_id) == []

    await eventually(is_removed, "what was made all the same is removed", 60)
    assert await sees(backend, spec.workspace_id, RunState.GONE)()
    assert await backend.list_owned() == {}


async def test_what_was_given_up_while_the_server_kept_it_is_given_up_by_the_next_agent(
    site: KubeSite, proxy: FaultProxy
) -> None:
    kept: list[str] = []

    async def keeps_pods(request: web.Request) -> web.StreamResponse | None:
        if request.method != "DELETE" or "/pods/" not in request.path:
            return None
        kept.append(request.path)
        return html(500)

    missing = {"images": {"missing": {"image": "docker.io/local/no-such-image:1", "pull": "Never"}}}
    first, spec = site.backend(**missing), site.spec(environment="missing")
    proxy.fault = keeps_pods
    handle = await first.start(spec, site.account)

    async def is_refused() -> bool:
        assert (await first.inspect([handle]))[handle].state is not RunState.GONE
        return bool(kept)

    await eventually(is_refused, "its end is asked for", 60)
    await first.__aexit__()
    assert len(site.pods(handle)) == 1
    proxy.fault = None
    second = site.backend(**missing)
    await eventually(sees(second, handle, RunState.GONE), "it is given up", 60)
    assert (await second.inspect([handle]))[handle].reason == "IMAGE_NOT_FOUND"
    assert site.pods(handle) == []


async def test_a_watch_goes_on_where_it_was(site: KubeSite, proxy: FaultProxy) -> None:
    backend, handle = await running(site)
    listed, resumed = backend.pods.relisted, backend.pods.resumed
    proxy.cut_watches()
    other = site.spec()
    await site.backend("mine").start(other, site.account)

    async def is_seen() -> bool:
        return f"ws-{other.workspace_id}" in backend.pods.objects

    await eventually(is_seen, "what happened meanwhile is told")
    assert (backend.pods.relisted, backend.pods.resumed > resumed) == (listed, True)
    assert await sees(backend, handle, RunState.RUNNING)()


@pytest.mark.parametrize("how", ["status", "event"])
async def test_a_watch_that_is_too_old_lists_again(site: KubeSite, proxy: FaultProxy, how: str) -> None:
    backend, handle = await running(site)
    listed, once = backend.pods.relisted, [True]

    async def too_old(request: web.Request) -> web.StreamResponse | None:
        if "watch" in request.query and request.path.endswith("/pods") and once:
            once.clear()
            gone = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
            if how == "status":
                return web.json_response(gone, status=410)
            return web.Response(text=json.dumps({"type": "ERROR", "object": gone}) + "\n")
        return None

    proxy.fault = too_old
    proxy.cut_watches()

    async def is_listed() -> bool:
        return backend.pods.relisted > listed

    await eventually(is_listed, "it lists again")
    assert await sees(backend, handle, RunState.RUNNING)()


async def test_a_token_that_expires_while_watching_is_read_again(site: KubeSite, proxy: FaultProxy) -> None:
    backend, handle = await running(site)
    token = site.folder / "token"
    proxy.expired.add(token.read_text())
    proxy.cut_watches()
    asked = len(proxy.asked)

    async def is_refused() -> bool:
        return len(proxy.asked) > asked + 3 and backend.pods._broken_at is not None

    await eventually(is_refused, "the old token is not taken any more")
    assert not await sees(backend, handle, RunState.GONE)()
    token.write_text(site.cluster.token())
    await eventually(lambda: _stands(backend), "it watches again", 60)
    assert await sees(backend, handle, RunState.RUNNING)()
    await backend.stop(handle)
    assert site.alive(handle) == 0


async def _stands(backend: KubernetesCompute) -> bool:
    return backend.pods._broken_at is None


async def test_what_is_stopped_as_soon_as_it_answers_ends_once_its_node_knows_it(
    site: KubeSite, proxy: FaultProxy
) -> None:
    phases = []

    async def noting(request: web.Request) -> web.StreamResponse | None:
        if request.method == "DELETE" and "/pods/" in request.path:
            pods = await asyncio.to_thread(site.pods, handle)
            phases.append(pods[0]["status"]["phase"])
        return None

    backend, handle = await running(site)
    proxy.fault = noting
    await backend.stop(handle)
    assert phases[0] == "Running", "before that its node would hold it, with its CPUs, for a minute"
    assert site.alive(handle) == 0


async def test_a_thousand_are_looked_at_without_a_call(site: KubeSite, proxy: FaultProxy) -> None:
    backend, handle = await running(site)
    await backend.inspect([handle])
    asked = len(proxy.asked)
    await asyncio.gather(*(backend.inspect([handle] * 100) for _ in range(10)))
    assert len(proxy.asked) == asked
