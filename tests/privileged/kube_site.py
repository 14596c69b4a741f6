"""Agents at a real cluster that have their service account and nothing else, and a gate before it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from facility_agent.adapters.compute.kubernetes_records import Records
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings
from facility_agent.ports.compute import StartSpec
from facility_agent.ports.directory import Account
from tests.contracts.compute_worlds import SMALL, server_spec
from tests.privileged.kube_cluster import AGENTS, AT_ONCE, Cluster, agents_folder
from tests.privileged.kube_image import HOSTILE, PLAIN, UID
from tests.privileged.site import as_root
from tests.waiting import until

SMALLER = replace(SMALL, memory=128 * 2**20)
KINDS = ("pod", "secret", "networkpolicy")
ENDS_S = 150
"""How long a kubelet may take to end a pod that has only begun (83 s seen)."""
SERVER = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
secret = open(sys.argv[2], "rb").read()
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    visitor, _ = listener.accept()
    inside = secret in visitor.recv(65536)
    visitor.sendall(b"HTTP/1.1 %d X\\r\\nContent-Length: 0\\r\\n\\r\\n" % (200 if inside else 403))
    visitor.close()
"""


class Gate:
    """A way to the API that can be shut: every connection is then cut and none is taken."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._host, self._port, self.open = parts.hostname, parts.port, True
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        """Listen; the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def shut(self) -> None:
        """Cut all."""
        self.open = False
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """End."""
        self.shut()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, far_writer}
        with suppress(OSError):
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        self._writers -= {writer, far_writer}
        for each in (writer, far_writer):
            each.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()


class KubeSite:
    """Agents' ways to the cluster, for one test. `folder` is the agent's."""

    namespace = "parasol"

    def __init__(self, cluster: Cluster, folder: Path, server: str = "", who: str = AGENTS) -> None:
        self.cluster, self.folder = cluster, folder
        self.account = Account("ada", "id-ada", UID, UID, (61_301, 61_401), folder / "no-home")
        self.kubeconfig = cluster.way_in(folder, server, who)
        self._tag = folder.name.lower().replace("_", "-")
        self.opened: list[KubernetesCompute] = []
        self.started: list[StartSpec] = []
        self.patience_s = 20 + 10 * cluster.ready_s

    def settings(self, **changes: Any) -> KubernetesSettings:
        """Of the adapter."""
        images = {
            name: {"image": image, "pull": "Never"} for name, image in (("server", PLAIN), ("hostile", HOSTILE))
        }
        values = {
            "identity": "account", "images": images, "guard_image": PLAIN, "guard_pull": "Never", "grace_s": 2,
            "reachable_from": ["10.88.99.1/32"], "closed_networks": ["10.88.99.0/24", "169.254.0.0/16"],
            "image_patience_s": 1, "mount_patience_s": 5,
        }  # fmt: skip
        return KubernetesSettings.model_validate({**values, **changes})

    def backend(self, owner: str = "mine", **changes: Any) -> KubernetesCompute:
        """An agent's adapter."""
        state = self.folder / owner
        state.mkdir(exist_ok=True)
        made = KubernetesCompute(
            self.settings(**changes), f"{owner}-{self._tag}x", Records(state), KubernetesApi(self.kubeconfig)
        )
        self.opened.append(made)
        return made

    async def runs(self, handle: str) -> None:
        """Until its kubelet says that it runs: before that, a node takes a minute or more to end what is deleted."""
        await asyncio.to_thread(
            until, lambda: self.pods(handle)[0]["status"]["phase"] == "Running", "the kubelet says so"
        )

    def spec(self, **changes: Any) -> StartSpec:
        """A workspace that answers until it is stopped."""
        command = ("/usr/bin/python3", "-S", "-c", SERVER, "{port}", "{secret_file}")
        made = server_spec(command=command, variables=(), flavour=SMALLER)
        made = replace(made, **changes)
        self.started.append(made)
        return made

    def script(self, python: str, **changes: Any) -> StartSpec:
        """A workspace that runs this."""
        return self.spec(command=("/usr/bin/python3", "-S", "-c", python), **changes)

    def pods(self, workspace_id: str) -> list[Any]:
        """Pods of a workspace, as the administrator sees them."""
        found = self.cluster.kubectl(
            "-n", self.namespace, "get", "pods", "-l", f"parasol/workspace={workspace_id}", "-o", "json"
        )
        items: list[Any] = json.loads(found)["items"]
        return items

    def alive(self, workspace_id: str) -> int:
        """How many of them may run."""
        return sum(pod["status"]["phase"] not in ("Succeeded", "Failed") for pod in self.pods(workspace_id))

    async def close(self) -> None:
        """Leave nothing in the cluster."""
        for backend in self.opened:
            await backend.__aexit__()
        left = [f"{kind}/ws-{spec.workspace_id}" for spec in self.started for kind in KINDS]
        if left:
            self.cluster.kubectl("-n", self.namespace, "delete", *left, "--ignore-not-found", *AT_ONCE)


@asynccontextmanager
async def kube_site(cluster: Cluster, server: str = "", who: str = AGENTS) -> AsyncIterator[KubeSite]:
    """A fresh one."""
    folder = agents_folder()
    site = KubeSite(cluster, folder, server, who)
    try:
        yield site
    finally:
        await site.close()
        with as_root():
            shutil.rmtree(folder)
