"""A real cluster of one node, an agent that has its service account and nothing else, and images made here."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from facility_agent.adapters.compute.kubernetes_records import Records
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings
from facility_agent.ports.compute import StartSpec
from facility_agent.ports.directory import Account
from tests.components import ROOT, path_of
from tests.contracts.compute_worlds import SMALL, server_spec
from tests.privileged.site import AGENT, as_root
from tests.waiting import until

SMALLER = replace(SMALL, memory=128 * 2**20)
PLAIN, HOSTILE = "docker.io/local/parasol-plain:1", "docker.io/local/parasol-hostile:1"
STOLEN = 50_000
"""A group that only the hostile image's own group file gives."""
UID = 61_201
TOLD = ("pods", "secrets", "networkpolicies")
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


class Cluster:
    """What an administrator does."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        with as_root():
            self.config = yaml.safe_load(kubeconfig.read_text())
            authority = Path(self.config["clusters"][0]["cluster"]["certificate-authority"]).read_bytes()
        self.authority, self.server = authority, self.config["clusters"][0]["cluster"]["server"]

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """As the administrator. Raises AssertionError with what it says."""
        with as_root():
            command = ["kubectl", "--kubeconfig", str(self.kubeconfig), *words]
            done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, kind: str, name: str = "", namespace: str = "parasol") -> Any:
        """Objects as the server has stored them."""
        return json.loads(self.kubectl("-n", namespace, "get", kind, *([name] if name else []), "-o", "json"))

    def token(self, seconds: int = 3600) -> str:
        """A token of the agent's service account."""
        path = "/api/v1/namespaces/parasol/serviceaccounts/parasol-agent/token"
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        answer = self.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(asked))
        return str(json.loads(answer)["status"]["token"])

    def way_in(self, folder: Path, server: str = "", token_file: Path | None = None) -> Path:
        """A kubeconfig with that token in a file."""
        token = token_file or folder / "token"
        if token_file is None:
            token.write_text(self.token())
        path = folder / "kubeconfig"
        authority = b64encode(self.authority).decode()
        there: dict[str, Any] = {"server": server or self.server}
        if there["server"].startswith("https"):
            there["certificate-authority-data"] = authority
        user = {"tokenFile": str(token)}
        context = {"cluster": "test", "user": "agent"}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": "test",
                    "clusters": [{"name": "test", "cluster": there}],
                    "users": [{"name": "agent", "user": user}], "contexts": [{"name": "test", "context": context}],
                }
            )
        )  # fmt: skip
        return path


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The cluster: one that runs already is used and left, else it is started and taken down."""
    folder = Path(path_of("kubernetes"))
    script, path = str(folder / "cluster.sh"), Path("/root/.cache/kube-test/run/admin.kubeconfig")
    with as_root():
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin", "HOME": "/root"}
        ready = ["kubectl", "--kubeconfig", str(path), "--request-timeout=5s", "get", "node"]
        there = path.exists() and subprocess.run(ready, capture_output=True).returncode == 0
        if not there:
            subprocess.run([script, "up"], check=True, capture_output=True, timeout=180, env=environment)
        for image, hostile in ((PLAIN, False), (HOSTILE, True)):
            with tempfile.TemporaryDirectory() as root:
                archive = f"{root}.tar"
                _root_file_system(Path(root), hostile=hostile)
                subprocess.run(["python3", str(folder / "image.py"), root, image, archive], check=True, timeout=60)
                subprocess.run(
                    [script, "load", archive], check=True, capture_output=True, timeout=120, env=environment
                )
                Path(archive).unlink()
    cluster = Cluster(path)
    cluster.kubectl("apply", "-f", "-", given=(ROOT / "deploy" / "agent" / "kubernetes-rbac.yaml").read_text())
    until(
        lambda: "default" in cluster.kubectl("-n", "parasol", "get", "serviceaccounts"), "the namespace is ready"
    )
    for name, image in (
        ("warm-plain", PLAIN),
        ("warm-hostile", HOSTILE),
    ):  # the node takes a moment to see new images
        words = (
            "--image",
            image,
            "--image-pull-policy=Never",
            "--restart=Always",
            "--command",
            "--",
            "/bin/sleep",
            "600",
        )
        cluster.kubectl("-n", "parasol", "delete", "pod", name, "--ignore-not-found", "--grace-period=1")
        cluster.kubectl("-n", "parasol", "run", name, *words)
        cluster.kubectl("-n", "parasol", "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        cluster.kubectl("-n", "parasol", "delete", "pod", name, "--wait=false", "--grace-period=1")
    try:
        yield cluster
    finally:
        if not there:
            with as_root():
                subprocess.run([script, "down"], check=True, capture_output=True, timeout=120, env=environment)


def _root_file_system(root: Path, *, hostile: bool) -> None:
    """Python and busybox; a hostile one gives the account a group, and anybody root."""
    for folder in ("bin", "etc", "tmp", "usr/bin", "usr/lib", "proc", "workspace", "run"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    busybox = shutil.which("busybox")
    assert busybox is not None
    for name in ("busybox", "sh", "cat", "id", "sleep", "whoami", "su"):
        shutil.copy2(busybox, root / "bin" / name)
    python = os.path.realpath("/usr/bin/python3")
    library = Path("/usr/lib") / Path(python).name
    shutil.copy2(python, root / "usr/bin/python3")
    ignored = shutil.ignore_patterns(
        "__pycache__", "test*", "idlelib", "config-*", "pydoc_data", "lib2to3", "site-packages"
    )
    shutil.copytree(library, root / "usr/lib" / library.name, ignore=ignored)
    for line in subprocess.run(["ldd", python], check=True, capture_output=True, text=True).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path is not None:
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, root / path[1:])
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n" + f"eve:x:{UID}:{UID}::/:/bin/sh\n" * hostile)
    (root / "etc/group").write_text("root:x:0:\n" + f"loot:x:{STOLEN}:eve,ada,{UID}\n" * hostile)
    if hostile:
        shutil.copy2(python, root / "usr/bin/root-python")
        for program in ("bin/su", "bin/id", "usr/bin/root-python"):
            (root / program).chmod(0o4755)


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

    def __init__(self, cluster: Cluster, folder: Path, server: str = "") -> None:
        self.cluster, self.folder = cluster, folder
        self.account = Account("ada", "id-ada", UID, UID, (61_301, 61_401), folder / "no-home")
        self.kubeconfig = cluster.way_in(folder, server)
        self._tag = folder.name.lower().replace("_", "-")
        self.opened: list[KubernetesCompute] = []
        self.started: list[StartSpec] = []

    def settings(self, **changes: Any) -> KubernetesSettings:
        """Of the adapter."""
        images = {
            name: {"image": image, "pull": "Never"} for name, image in (("server", PLAIN), ("hostile", HOSTILE))
        }
        values = {
            "identity": "account", "images": images, "guard_image": PLAIN, "guard_pull": "Never", "grace_s": 2,
            "reachable_from": ["10.88.99.1/32"], "closed_networks": ["10.88.99.0/24", "169.254.0.0/16"],
            "image_patience_s": 1, "mount_patience_s": 1,
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
            "-n", "parasol", "get", "pods", "-l", f"parasol/workspace={workspace_id}", "-o", "json"
        )
        items: list[Any] = json.loads(found)["items"]
        return items

    async def close(self) -> None:
        """Leave nothing in the cluster."""
        for backend in self.opened:
            await backend.__aexit__()
        ids = [spec.workspace_id for spec in self.started]
        for kind in TOLD:
            names = [f"ws-{each}" for each in ids]
            if names:
                self.cluster.kubectl(
                    "-n",
                    "parasol",
                    "delete",
                    kind,
                    *names,
                    "--ignore-not-found",
                    "--wait=false",
                    "--grace-period=1",
                )


@asynccontextmanager
async def kube_site(cluster: Cluster, server: str = "") -> AsyncIterator[KubeSite]:
    """A fresh one."""
    with as_root():
        folder = Path(tempfile.mkdtemp(prefix="pk-", dir="/tmp"))
        os.chown(folder, AGENT, AGENT)
    site = KubeSite(cluster, folder, server)
    try:
        yield site
    finally:
        await site.close()
        with as_root():
            shutil.rmtree(folder)
