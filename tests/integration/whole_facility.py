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
import time
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from facility_agent.composition import Agent
from facility_agent.config import Located, load
from facility_agent.ports.compute import Endpoint
from facility_agent.ports.link import AskedOrder
from facility_agent.socket.client import DoorkeeperClient
from shared.commands import NEVER_EXPIRES, Parameters, Redeem, Redeemed, Stop, Unlink, Verb
from shared.facilities import Outcome
from shared.identity import Scope, Subject
from shared.wire.commands import decode_body, encode_body
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import decode_order_result
from shared.wire.proof import challenge, grant_secret, hashed, mac, public_half, token
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
        self.run(self._order(name, Verb.UNLINK, Unlink()))

    def launch(self, name: str = "ada", program: str = "app") -> str:
        """A running workspace; its id."""
        workspace_id = str(uuid.uuid4())
        request = LaunchRequest(program, "small", (), "", "A test", 3600)
        self.run(self._order(name, Verb.LAUNCH, request, workspace_id))
        until(lambda: self.state(workspace_id) is WorkspaceState.RUNNING, "the workspace runs", 20)
        return workspace_id

    async def _order(self, name: str, verb: Verb, parameters: Parameters, order_id: str = "") -> None:
        """As the person's browser and the centre make it: a grant, and an order under it."""
        grant_id, secret = await self._grant(name)
        order_id = order_id or str(uuid.uuid4())
        body = _body(verb, parameters, order_id)
        asked = AskedOrder(order_id, body, grant_id, mac(secret, body))
        result = await self.agent.orders.take(asked, lambda: None)
        assert result is not None
        answer = decode_order_result(verb, pb.OrderResult.FromString(result))
        assert answer.outcome is Outcome.OK, answer

    async def _grant(self, name: str) -> tuple[str, bytes]:
        verifier, mine = token(), X25519PrivateKey.generate()
        ours, scopes = public_half(mine), frozenset(Scope)
        issued = await self.door.issue_code(
            self.subject(name), f"portal-{name}", scopes, challenge(verifier), ours
        )
        asked = _body(Verb.REDEEM, Redeem(hashed(issued.code), verifier), str(uuid.uuid4()))
        answer = await self.agent._core.handle(asked, "", b"", decode_body)
        assert isinstance(answer.payload, Redeemed), answer
        return answer.payload.grant_id, grant_secret(mine, issued.key, issued.code, ours, issued.key)

    def state(self, workspace_id: str) -> WorkspaceState | None:
        row = self.run(self.agent.workspaces.known(workspace_id))
        return row.state if row else None

    def end(self, workspace_id: str) -> None:
        row = self.run(self.agent.workspaces.known(workspace_id))
        self.run(self._order(row.subject.sub, Verb.STOP, Stop(workspace_id)))
        until(lambda: self.state(workspace_id) is WorkspaceState.ENDED, "the workspace has ended", 20)

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


def _body(verb: Verb, parameters: Parameters, command_id: str) -> bytes:
    expires = 0 if verb in NEVER_EXPIRES else int((time.time() + 60) * 1000)
    return encode_body("alpha", command_id, verb, parameters, expires)


def _private(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def _configuration(site: WholeFacility) -> Path:
    _private(site.folder / "umbrella.secret", site.op.client_secret)
    (site.folder / "data").mkdir()
    hash_ = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    accounts = [
        f'[[accounts]]\nusername = "{name}"\nimmutable_id = "{uid}"\ndisplay_name = "{name}"\npassword = "{hash_}"\n'
        f'uid = {uid}\ngid = {uid}\ngroups = [40000]\nhome = "/home/{name}"\nproposals = []\n'
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
