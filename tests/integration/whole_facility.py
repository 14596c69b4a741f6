"""A facility as it is deployed: the agent with its real adapters, the gateway as its own process, real workspaces."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from facility_agent.composition import Agent
from facility_agent.config import Located, load
from facility_agent.ports.catalogue import Reader
from facility_agent.ports.compute import Endpoint
from facility_agent.ports.store import OrderRow
from facility_agent.socket.client import DoorkeeperClient
from shared.catalogue import SearchQuery
from shared.commands import Verb
from shared.identity import Subject
from shared.wire.proof import hashed, token
from shared.workspaces import LaunchRequest, WorkspaceState
from tests.integration.openid import Op
from tests.waiting import free_port, http_status, until

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PASS = "__Host-parasol-ws"
PEOPLE = ("ada", "ben")


class WholeFacility:
    """`run` awaits something in the agent's event loop."""

    def __init__(self, folder: Path, op: Op) -> None:
        self.folder, self.op = folder, op
        self.port, self.workspace_port = free_port(), free_port()
        self.host = f"gw.localhost:{self.port}"
        self.zone = f"work.localhost:{self.port}"
        self.restored = folder.resolve() / "restored"
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._gateway: subprocess.Popen[bytes] | None = None

    @property
    def gateway_pid(self) -> int:
        assert self._gateway is not None
        return self._gateway.pid

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    # --- its processes

    def start(self) -> None:
        located = load(_configuration(self))
        self.agent = Agent(located)
        self._thread.start()
        self.door: DoorkeeperClient = self.run(self._begin(located))
        until(lambda: (self.folder / "run" / "s").exists(), "the agent's socket")
        self.start_gateway()
        for name in PEOPLE:
            self.link(name)

    async def _begin(self, located: Located) -> DoorkeeperClient:
        self._agent_task = self.loop.create_task(self.agent.run())
        state = located.path(located.config.agent.state)
        return DoorkeeperClient(located.path(located.config.agent.socket), state / "socket.token")

    def start_gateway(self) -> None:
        with (self.folder / "gateway.log").open("ab") as log:
            command = [BIN / "facility-agent", "gateway", "-c", self.folder / "agent.toml"]
            self._gateway = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, "the gateway is up")

    def _answers(self) -> bool:
        assert self._gateway is not None
        log = (self.folder / "gateway.log").read_text()
        assert self._gateway.poll() is None, log
        return http_status(self.port, "/healthz", self.host) == 200

    def stop_gateway(self, number: int = signal.SIGTERM) -> None:
        if self._gateway is not None:
            self._gateway.send_signal(number)
            self._gateway.wait(15)
            self._gateway = None

    def stop(self) -> None:
        self.stop_gateway()
        if not self._thread.is_alive():
            return
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _end(self) -> None:
        compute = self.agent.workspaces._compute
        for handle in await compute.list_owned():
            await compute.stop(handle)
        await self.door.close()
        self._agent_task.cancel()
        with suppress(asyncio.CancelledError):
            await self._agent_task

    # --- people and their workspaces

    def subject(self, name: str) -> Subject:
        return Subject(self.op.issuer, name)

    def link(self, name: str) -> None:
        self.run(self._link(name))

    async def _link(self, name: str) -> None:
        await self.door.link(self.subject(name), await self.door.local_identity(name))

    def unlink(self, name: str) -> None:
        self.run(self._unlink(self.subject(name)))

    async def _unlink(self, subject: Subject) -> None:
        """The effect of the order, without one."""
        link = await self.agent._store.transact(lambda tx: tx.link_of(subject))
        assert link is not None
        effect = self.agent.workspaces._accounts.unlinking(link)
        await self.agent._store.transact(effect.write)
        effect.after()

    def launch(self, name: str = "ada", program: str = "app") -> str:
        """A running workspace; its id."""
        workspace_id = str(uuid.uuid4())
        self.run(self._launch(workspace_id, name, program))
        until(lambda: self.state(workspace_id) is WorkspaceState.RUNNING, "the workspace runs", 20)
        return workspace_id

    def dataset_of(self, name: str) -> str:
        """The identifier of a person's only dataset."""

        async def found() -> str:
            catalogue = self.agent._made.catalogue
            page = await catalogue.search(SearchQuery(), Reader(proposals=frozenset({f"P-{name}"})))
            return str(page.datasets[0].pid) if page.datasets else ""

        until(lambda: self.run(found()), "the catalogue has read its files")
        return str(self.run(found()))

    async def _launch(self, workspace_id: str, name: str, program: str) -> None:
        link = await self.door.link_of(self.subject(name))
        assert link is not None
        subject = self.subject(name)
        order = OrderRow(workspace_id, "g", workspace_id, Verb.LAUNCH, subject, link.generation, b"", b"", 0.0)
        request = LaunchRequest(program, "small", (), "", "A test", 3600)
        effect = await self.agent.workspaces.launching(order, request)
        await self.agent._store.transact(effect.write)
        effect.after()

    def state(self, workspace_id: str) -> WorkspaceState | None:
        row = self.run(self.agent.workspaces.known(workspace_id))
        return row.state if row else None

    def end(self, workspace_id: str) -> None:
        self.run(self.agent.workspaces._runs._stop(workspace_id, WorkspaceState.ENDED, "", ""))

    def endpoint(self, workspace_id: str) -> Endpoint:
        """Where it listens, as the gateway is told."""

        async def look() -> Any:
            row = await self.agent.workspaces.known(workspace_id)
            assert row is not None
            return await self.agent.workspaces.endpoint(row)

        found = self.run(look())
        assert isinstance(found, Endpoint)
        return found

    def pid_of(self, workspace_id: str) -> int:
        """The process that runs the workspace's program, and everything of it."""
        records = self.agent.workspaces._compute._state
        pid: int = json.loads((records / f"{workspace_id}.run").read_text())["pid"]
        return pid

    def admit(self, workspace_id: str, name: str = "ada") -> str:
        """A cookie that opens the workspace, as the gateway gets one for a person with a good code."""
        cookie = token()
        self.run(self._admit(workspace_id, name, hashed(cookie)))
        return cookie

    async def _admit(self, workspace_id: str, name: str, cookie_hash: str) -> None:
        code = hashed(token())
        await self.door.invite(workspace_id, self.subject(name), f"sid-{name}", "state", code)
        await self.door.admit(workspace_id, code, "state", cookie_hash)

    def host_of(self, workspace_id: str) -> str:
        return f"{workspace_id}.{self.zone}"

    def ask(
        self,
        workspace_id: str,
        path: str = "/",
        cookie: str = "",
        method: str = "GET",
        body: Any = None,
        **headers: str,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request to a workspace's origin, as its own page makes it."""
        host = self.host_of(workspace_id)
        sent = {"Host": host, "Sec-Fetch-Site": "same-origin"}
        if cookie:
            sent["Cookie"] = f"{PASS}={cookie}"
        if method not in ("GET", "HEAD"):
            sent["Origin"] = f"http://{host}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def seen(self, workspace_id: str, cookie: str) -> list[str]:
        """What the workspace's program was asked for so far."""
        answer: list[str] = json.loads(self.ask(workspace_id, "/seen", cookie)[2])
        return answer


def _private(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def _configuration(site: WholeFacility) -> Path:
    _private(site.folder / "umbrella.secret", site.op.client_secret)
    for name in PEOPLE:
        (site.folder / "data" / f"P-{name}").mkdir(parents=True)
        with h5py.File(site.folder / "data" / f"P-{name}" / f"{name}.nxs", "w") as file:
            entry = file.create_group("entry")
            entry.attrs["NX_class"] = "NXentry"
            entry["title"] = f"<b>The data of {name}</b>"
    site.restored.mkdir()
    site.restored.chmod(0o755)
    hash_ = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    accounts = [
        f'[[accounts]]\nusername = "{name}"\nimmutable_id = "{uid}"\ndisplay_name = "{name}"\npassword = "{hash_}"\n'
        f'uid = {uid}\ngid = {uid}\ngroups = [40000]\nhome = "/home/{name}"\nproposals = ["P-{name}"]\n'
        for uid, name in enumerate(PEOPLE, 20_001)
    ]
    _private(site.folder / "accounts.toml", "\n".join(accounts))
    environments = [
        f'[[environments]]\nid = "{name}"\ntitle = "{name}"\nused_as = "web_application"\nflavours = ["small"]\n'
        f"command = {json.dumps([sys.executable, str(HERE / f'workspace_{program}.py'), '{socket}', *more])}\n"
        'headers = { Authorization = "token {secret}" }\n'
        for name, program, more in (
            ("app", "app", []),
            ("tcp", "app", [str(site.workspace_port)]),
            ("raw", "raw", []),
        )
    ]
    text = f"""
[facility]
id = "alpha"
name = "Alpha"
[centre]
hub = "127.0.0.1:{free_port()}"
portal = "http://portal.localhost:9"
key_file = "agent.key"
plaintext = true
[agent]
state = "state"
socket = "run/s"
[gateway]
listen = "127.0.0.1:{site.port}"
url = "http://{site.host}"
workspace_zone = "{site.zone}"
[gateway.umbrella]
issuer = "{site.op.issuer}"
client_id = "{site.op.client_id}"
client_secret_file = "umbrella.secret"
[accounts]
adapter = "file"
[accounts.file]
path = "accounts.toml"
[catalogue]
adapter = "nexus_folder"
[catalogue.nexus_folder]
folder = "data"
[archive]
entered_below = [{json.dumps(str(site.restored))}]
[compute]
adapter = "process"
[compute.process]
isolation = "none"
folder = "w"
grace_s = 3
readable = [{json.dumps(str(HERE))}]
[limits]
workspaces_per_account = 100
[[flavours]]
id = "small"
title = "Small"
cpus = {os.cpu_count()}
memory = "4GiB"
storage = "1GB"
longest = "8h"
{"".join(environments)}
"""
    return _private(site.folder / "agent.toml", text)


@contextmanager
def whole_facility(folder: Path, op: Op) -> Iterator[WholeFacility]:
    """A facility that runs; `folder` must be short enough for Unix sockets below it."""
    site = WholeFacility(folder, op)
    try:
        site.start()
        yield site
    finally:
        site.stop()
