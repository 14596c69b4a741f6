"""A real cluster whose one node is this machine, and its administrator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.components import ROOT, path_of
from tests.privileged.kube_image import HOSTILE, PLAIN, pack, root_file_system
from tests.privileged.site import AGENT, as_root
from tests.waiting import until

HOME = Path("/root")
AGENTS = "parasol-agent"
"""The agent's service account."""
AT_ONCE = ("--wait=false", "--grace-period=0", "--force")
"""A small node has CPUs for one or two workspaces: what is left must not keep the next test's from starting."""


class Cluster:
    """What an administrator does."""

    ready_s = 0.0
    """How long a pod took to be ready when the tests began, made without Parasol."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        """`folder` is the agent's; a copy of the administrator's kubeconfig lies there, with all it needs."""
        self.kubeconfig_given, self._folder = kubeconfig, folder
        with as_root():
            view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]
            config = subprocess.run(
                ["kubectl", "--kubeconfig", str(kubeconfig), *view],
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout
        there = json.loads(config)["clusters"][0]["cluster"]
        self.authority, self.server = b64decode(there["certificate-authority-data"]), there["server"]
        self._kubeconfig, self._tokens = folder / "administrator", dict[str, str]()
        with os.fdopen(os.open(self._kubeconfig, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(config)

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """As the administrator. Raises AssertionError with what it says."""
        around = ["--kubeconfig", str(self._kubeconfig), "--cache-dir", str(self._folder / "cache")]
        done = subprocess.run(
            ["kubectl", *around, *words], input=given, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, file: str, namespace: str = "parasol") -> None:
        """One of `deploy/agent`; then the namespace takes pods."""
        self.kubectl("apply", "-f", "-", given=(ROOT / "deploy" / "agent" / file).read_text())
        until(
            lambda: "default" in self.kubectl("-n", namespace, "get", "serviceaccounts"), "the namespace is ready"
        )

    def get(self, kind: str, name: str = "", namespace: str = "parasol") -> Any:
        """Objects as the server has stored them."""
        return json.loads(self.kubectl("-n", namespace, "get", kind, *([name] if name else []), "-o", "json"))

    def token(self, who: str = AGENTS, seconds: int = 86_400) -> str:
        """A token of the agent's service account."""
        path = f"/api/v1/namespaces/parasol/serviceaccounts/{who}/token"
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        answer = self.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(asked))
        return str(json.loads(answer)["status"]["token"])

    def way_in(self, folder: Path, server: str = "", who: str = AGENTS) -> Path:
        """A kubeconfig with a token of that account in a file."""
        if who not in self._tokens:
            self._tokens[who] = self.token(who)
        token = folder / "token"
        token.write_text(self._tokens[who])
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


def agents_folder() -> Path:
    """A fresh folder of the agent's."""
    with as_root():
        folder = Path(tempfile.mkdtemp(prefix="pk-", dir="/tmp"))
        os.chown(folder, AGENT, AGENT)
    return folder


_within: list[Cluster] = []


def load(archive: Path) -> None:
    """Give an image to the cluster's runtime, as root."""
    found = Path(path_of("kubernetes"))
    given = os.environ.get("PARASOL_KUBE_LOAD", "ctr -n k8s.io images import").split()
    _run([*([str(found / "cluster.sh"), "load"] if found.is_dir() else given), str(archive)])


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The cluster: one that runs already is used and left, else it is started and taken down. Within this it is this."""
    if _within:
        yield _within[0]
        return
    found = Path(path_of("kubernetes"))
    given, script = not found.is_dir(), str(found / "cluster.sh")
    path = found if given else HOME / ".cache/kube-test/run/admin.kubeconfig"
    ready = ["kubectl", "--kubeconfig", str(path), "--request-timeout=5s", "get", "node"]
    with as_root():
        there = given or (path.exists() and subprocess.run(ready, capture_output=True).returncode == 0)
        if not there:
            _run([script, "up"])
        for image, hostile in ((PLAIN, False), (HOSTILE, True)):
            with tempfile.TemporaryDirectory() as folder:
                root, archive = Path(folder) / "root", Path(folder) / "image.tar"
                root_file_system(root, hostile=hostile)
                pack(root, image, archive)
                load(archive)
    own = agents_folder()
    try:
        cluster = Cluster(path, own)
        _set_up(cluster)
        _within.append(cluster)
        yield cluster
    finally:
        _within.clear()
        with as_root():
            shutil.rmtree(own)
            if not there:
                _run([script, "down"])


def _run(command: list[str]) -> None:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin", "HOME": str(HOME)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])


def _set_up(cluster: Cluster) -> None:
    """The agent's rights, and the node knows the images; how long a pod takes is measured."""
    cluster.apply("kubernetes-rbac.yaml")
    for name, image in (("warm-hostile", HOSTILE), ("warm-plain", PLAIN)):
        in_place = ("-n", "parasol")
        how = ["--image-pull-policy=Never", "--restart=Always", "--command", "--", "/bin/sleep", "600"]
        cluster.kubectl(*in_place, "delete", "pod", name, "--ignore-not-found", *AT_ONCE)
        began = time.monotonic()
        cluster.kubectl(
            *in_place, "run", name, "--image", image, *how
        )  # started again until the node has seen the image
        cluster.kubectl(*in_place, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
        cluster.ready_s = time.monotonic() - began
        cluster.kubectl(*in_place, "delete", "pod", name, *AT_ONCE)
