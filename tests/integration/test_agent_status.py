"""What the operator sees: status and metrics over the socket, and what the commands print."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from facility_agent.config import ConfigError, load
from facility_agent.link.client import AgentLink
from facility_agent.metrics import CONTENT_TYPE, AgentMetrics
from facility_agent.socket.pages import MetricsSite, Page
from facility_agent.socket.server import SocketServer
from facility_agent.status import Standing, as_json
from facility_agent.store.database import renew_store_id
from facility_agent.store.sqlite import SqliteStore
from shared.commands import Stop
from shared.link.outputs import Ending
from tests.agent_parts import LAUNCH, Agent, workspace
from tests.components import ROOT
from tests.integration.test_agent_link import Scene
from tests.link_parts import eventually
from tests.waiting import free_port

W1 = workspace(1)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    await scene.hub.start()
    yield scene
    await scene.hang_up()
    await scene.facility.close()
    await scene.hub.stop()


def configured(folder: Path, **agent: str) -> Path:
    """The example's configuration, with its state and socket in a folder."""
    text = (ROOT / "deploy/agent/agent.toml").read_text()
    lines = [f"{key} = {value}" for key, value in agent.items()]
    text = text.replace('state = "/var/lib/parasol"', "\n".join([f'state = "{folder}"', *lines]))
    text = text.replace('socket = "/run/parasol/agent.sock"', f'socket = "{folder}/run/agent.sock"')
    path = folder / "agent.toml"
    path.write_text(text)
    return path


class Shown:
    """An agent with its pages on a socket."""

    def __init__(self, scene: Scene, agent: Agent) -> None:
        self.metrics = AgentMetrics()
        agent.orders._meters = self.metrics
        agent.store._committed = self.metrics.committed
        self.standing = Standing(
            "alpha", "1.2.3", agent.store, agent.orders, agent.workspaces, agent.feed, lambda: scene.facility.now
        )
        self.page = Page(CONTENT_TYPE, self._metrics)
        status = Page("application/json", self._status)
        folder = scene.folder
        self.socket = SocketServer(
            folder / "run" / "agent.sock", folder / "socket.token", None,  # type: ignore[arg-type]
            {"status": status.answer, "metrics": self.page.answer},
        )  # fmt: skip

    async def _metrics(self) -> str:
        return self.metrics.shown(await self.standing.status())

    async def _status(self) -> str:
        return as_json(await self.standing.status())


async def command(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `facility-agent …`."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "facility-agent", words[0], "-c", configured(folder), *words[1:],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_status_and_metrics_say_how_it_stands(scene: Scene) -> None:
    agent = await scene.facility.agent()
    await agent.linked("ada")
    agent.watch()
    shown = Shown(scene, agent)
    await shown.socket.start()
    try:
        code, said, _ = await command(scene.folder, "status")
        assert code == 0
        assert "link        not begun" in said
        assert "open data   the catalogue has not been read whole yet" in said
        await agent.feed.look()
        scene.hub.acknowledges = False
        link = scene.dial(AgentLink(scene.settings(), agent.core, desk=agent.orders, meters=shown.metrics))
        shown.standing.link = link.status
        await eventually(lambda: link.connected)
        scene.facility.scheduler.runs.add(workspace(9))
        await agent.workspaces._watcher.probe()
        asked = scene.facility.order(W1, LAUNCH)
        scene.hub.newest.order(asked)
        await eventually(lambda: W1 in scene.hub.newest.results)
        await eventually(lambda: agent.seen(W1).state.value == "RUNNING")
        scene.hub.newest.pump.close(Ending.STOPPED, "the hub restarts")
        await eventually(lambda: len(scene.hub.sessions) == 2 and scene.hub.newest.end.ready)
        scene.hub.newest.order(asked)
        await eventually(lambda: W1 in scene.hub.newest.results)
        await eventually(lambda: link.status().round_trip is not None)
        scene.facility.now += 90
        code, said, _ = await command(scene.folder, "status")
        assert code == 0
        for words in (
            "alpha: agent 1.2.3, up for 1 min 30 s", "store       good", f"connected to 127.0.0.1:{scene.hub.port}",
            "session s-2, epoch 2, round trip", "last session ended: LOST", "results     1 on their way, the oldest for 1 min 30 s",
            "workspaces  1 RUNNING", f"without a row: {workspace(9)}",
            "open data   0 datasets, 0 proposals; the whole catalogue was read 1 min 30 s ago",
        ):  # fmt: skip
            assert words in said
        code, said, _ = await command(scene.folder, "status", "--json")
        told = json.loads(said)
        assert (told["link"]["epoch"], told["orders"]["unacknowledged"], told["complete"]) == (2, 1, True)
        code, said, _ = await command(scene.folder, "metrics")
        for line in (
            'parasol_agent_orders_total{outcome="OK",verb="workspaces.launch"} 1.0',
            'parasol_agent_orders_duplicate_total{verb="workspaces.launch"} 1.0',
            'parasol_agent_link_endings_total{reason="LOST"} 1.0', "parasol_agent_link_connected 1.0",
            "parasol_agent_link_epoch 2.0", "parasol_agent_orders_unacknowledged 1.0",
            "parasol_agent_orders_unacknowledged_age_seconds 90.0", 'parasol_agent_workspaces{state="RUNNING"} 1.0',
            "parasol_agent_runs_unowned 1.0", "parasol_agent_store_fault 0.0",
            "parasol_agent_open_metadata_age_seconds 90.0", "parasol_agent_open_metadata_complete 1.0",
        ):  # fmt: skip
            assert f"\n{line}\n" in said, line
        assert "parasol_agent_store_commit_seconds_count" in said
        assert "id-ada" not in said
        assert "https://op" not in said
    finally:
        await shown.socket.stop()


async def test_a_store_that_fails_is_told(scene: Scene) -> None:
    agent = await scene.facility.agent()
    shown = Shown(scene, agent)
    await shown.socket.start()
    try:
        (scene.folder / "agent.sqlite3").rename(scene.folder / "away")
        await agent.take(scene.facility.order("s", Stop(W1), expires_in=None))
        code, said, _ = await command(scene.folder, "status")
        assert code == 0
        assert "removed or replaced" in said
        assert "orders      cannot be read" in said
        assert "parasol_agent_store_fault 1.0" in (await command(scene.folder, "metrics"))[1]
    finally:
        await shown.socket.stop()


async def test_the_pages_are_for_the_agents_user_with_the_token_alone(scene: Scene) -> None:
    agent = await scene.facility.agent()
    shown = Shown(scene, agent)
    await shown.socket.start()
    try:
        connector = aiohttp.UnixConnector(str(scene.folder / "run" / "agent.sock"))
        async with aiohttp.ClientSession(connector=connector) as session:
            for name in ("status", "metrics"):
                for headers in ({}, {"x-parasol-token": "guess"}):
                    async with session.get(f"http://agent/{name}", headers=headers) as answer:
                        assert (answer.status, await answer.text()) == (403, "")
    finally:
        await shown.socket.stop()


async def test_an_agent_that_does_not_run_is_one_sentence(tmp_path: Path) -> None:
    code, said, error = await command(tmp_path, "status")
    assert (code, said) == (1, "")
    assert error == "The agent does not answer on its socket: it is not running.\n"


async def test_metrics_on_a_port_are_that_page_and_nothing_else(scene: Scene) -> None:
    agent = await scene.facility.agent()
    shown, port = Shown(scene, agent), free_port()
    site = MetricsSite("127.0.0.1", port, shown.page)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert (answer.status, answer.content_type) == (200, "text/plain")
                assert "parasol_agent_boots 1.0" in await answer.text()
            for path in ("/", "/status", "/call/session"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status == 404
    finally:
        await site.stop()


@pytest.mark.parametrize("listen", ["0.0.0.0:9100", "10.0.0.1:9100", "127.0.0.1:0", "nonsense"])
def test_metrics_leave_the_machine_only_when_that_is_said(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError):
        load(configured(tmp_path, metrics_listen=f'"{listen}"'))
    if listen == "0.0.0.0:9100":
        opened = configured(tmp_path, metrics_listen=f'"{listen}"', metrics_open="true")
        assert load(opened).config.agent.metrics_open


async def test_a_restored_store_gets_a_new_name_only_while_no_agent_runs(tmp_path: Path) -> None:
    code, _, error = await command(tmp_path, "restored")
    assert code == 2
    assert "put the backup in its place first" in error
    store = SqliteStore(tmp_path / "agent.sqlite3")
    await store.probe()
    before = store.store_id
    code, _, error = await command(tmp_path, "restored")
    assert code == 2
    assert "-wal" in error
    store.close()
    code, said, _ = await command(tmp_path, "restored")
    assert code == 0
    assert before not in said
    assert renew_store_id(tmp_path / "agent.sqlite3") not in said
