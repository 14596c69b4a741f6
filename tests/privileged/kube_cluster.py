"""A real cluster of one node, its administrator, and images made here."""

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
from tests.privileged.site import AGENT, as_root
from tests.waiting import until

PLAIN, HOSTILE = "docker.io/local/parasol-plain:1", "docker.io/local/parasol-hostile:1"
STOLEN = 50_000
"""A group that only the hostile image's own group file gives."""
UID = 61_201
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
            words = [
                "kubectl",
                "--kubeconfig",
                str(kubeconfig),
                "config",
                "view",
                "--raw",
                "--flatten",
                "-o",
                "json",
            ]
            config = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
        there = json.loads(config)["clusters"][0]["cluster"]
        self.authority, self.server = b64decode(there["certificate-authority-data"]), there["server"]
        self._kubeconfig = folder / "administrator"
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


def agents_folder() -> Path:
    """A fresh folder of the agent's."""
    with as_root():
        folder = Path(tempfile.mkdtemp(prefix="pk-", dir="/tmp"))
        os.chown(folder, AGENT, AGENT)
    return folder


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The cluster: one that runs already is used and left, else it is started and taken down."""
    folder, home = Path(path_of("kubernetes")), Path("/root")
    script, path = str(folder / "cluster.sh"), home / ".cache/kube-test/run/admin.kubeconfig"
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin", "HOME": str(home)}
    with as_root():
        ready = ["kubectl", "--kubeconfig", str(path), "--request-timeout=5s", "get", "node"]
        there = path.exists() and subprocess.run(ready, capture_output=True).returncode == 0
        if not there:
            subprocess.run([script, "up"], check=True, capture_output=True, timeout=240, env=environment)
        for image, hostile in ((PLAIN, False), (HOSTILE, True)):
            with tempfile.TemporaryDirectory() as root:
                archive = f"{root}.tar"
                _root_file_system(Path(root), hostile=hostile)
                subprocess.run(["python3", str(folder / "image.py"), root, image, archive], check=True, timeout=60)
                subprocess.run(
                    [script, "load", archive], check=True, capture_output=True, timeout=120, env=environment
                )
                Path(archive).unlink()
    own = agents_folder()
    cluster = Cluster(path, own)
    try:
        _set_up(cluster)
        yield cluster
    finally:
        with as_root():
            shutil.rmtree(own)
            if not there:
                subprocess.run([script, "down"], check=True, capture_output=True, timeout=120, env=environment)


def _set_up(cluster: Cluster) -> None:
    """The agent's rights, and the node knows the images; how long a pod takes is measured."""
    cluster.kubectl("apply", "-f", "-", given=(ROOT / "deploy" / "agent" / "kubernetes-rbac.yaml").read_text())
    until(
        lambda: "default" in cluster.kubectl("-n", "parasol", "get", "serviceaccounts"), "the namespace is ready"
    )
    for name, image in (("warm-hostile", HOSTILE), ("warm-plain", PLAIN)):
        in_place = ("-n", "parasol")
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
        cluster.kubectl(*in_place, "delete", "pod", name, "--ignore-not-found", *AT_ONCE)
        began = time.monotonic()
        cluster.kubectl(*in_place, "run", name, *words)  # started again until the node has seen the image
        cluster.kubectl(*in_place, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
        cluster.ready_s = time.monotonic() - began
        cluster.kubectl(*in_place, "delete", "pod", name, *AT_ONCE)


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
