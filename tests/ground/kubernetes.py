"""Alpha on a Kubernetes of one node, with an image of the demo's own notebook environment."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from deploy.demo.ground import Ground
from deploy.demo.people import PEOPLE
from deploy.setup.ordinary_user import UID
from tests.components import ROOT
from tests.ground.lever import lever
from tests.ground.people import PROPOSALS
from tests.privileged.kube_cluster import AT_ONCE, Cluster, load, running_cluster
from tests.privileged.kube_faults import FaultProxy, hung_up
from tests.privileged.kube_image import PLAIN, libraries_of, pack, root_file_system
from tests.privileged.site import as_root

NOTEBOOK = "docker.io/local/parasol-notebook:1"


@contextmanager
def kubernetes(python: Path) -> Iterator[Ground]:
    """The cluster with that image, homes for the demo's people, and the agent's way in; its pods are gone at the end."""
    with running_cluster() as cluster:
        with as_root():
            _image(python)
            folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
            folder.chmod(0o755)
            _homes(folder / "homes")
            way = folder / "agent"
            way.mkdir(0o700)
        server = _Server(cluster)
        try:
            with server.running() as address, lever(folder, server) as handle:
                with as_root():
                    kubeconfig = cluster.way_in(way, address)
                    for path in (way, *way.iterdir()):
                        os.chown(path, UID, UID)
                yield Ground(_compute(kubeconfig), folder / "homes", PROPOSALS, handle, in_pods=True)
        finally:
            _clear(cluster)
            with as_root():
                shutil.rmtree(folder)


class _Server:
    """The agent's way to the cluster's API, which can be cut."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._proxy = cluster, FaultProxy(cluster.server, cluster.authority)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its address, while it serves in a thread of its own."""
        served: Future[str] = Future()

        async def serve() -> None:
            self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
            async with self._proxy.running() as address:
                served.set_result(address)
                await self._over.wait()
                self._proxy.cut_watches()

        serving = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        serving.start()
        try:
            yield served.result(30)
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            serving.join()

    def away(self) -> None:
        self._proxy.fault = hung_up
        self._loop.call_soon_threadsafe(self._proxy.cut_watches)

    def back(self) -> None:
        self._proxy.fault = None

    def runs(self, workspace: str) -> int:
        """Pods, and how often each was started again."""
        pods = self._cluster.get("pods")["items"]
        ours = [each["status"] for each in pods if each["metadata"]["name"].endswith(workspace)]
        again = sum(one["restartCount"] for status in ours for one in status.get("containerStatuses") or ())
        return len(ours) + again


def _image(python: Path) -> None:
    """Python, the environment and the demo's programs, each where it lies on this machine."""
    with tempfile.TemporaryDirectory() as name:
        root, archive = Path(name) / "root", Path(name) / "image.tar"
        root_file_system(root, hostile=False)
        for folder in (python.parents[1], ROOT / "deploy" / "demo" / "environment"):
            shutil.copytree(folder, root / str(folder)[1:], symlinks=True)
        (root / "usr/bin" / Path(os.path.realpath(python)).name).symlink_to("python3")
        libraries_of(python.parents[1], root)
        pack(root, NOTEBOOK, archive)
        shutil.rmtree(root)
        load(archive)


def _homes(homes: Path) -> None:
    homes.mkdir(0o755)
    for person in PEOPLE:
        username, _, uid = person.accounts["alpha"]
        (homes / username).mkdir(0o700)
        os.chown(homes / username, uid, uid)


def _compute(kubeconfig: Path) -> str:
    images = "".join(
        f'[compute.kubernetes.images.{name}]\nimage = "{NOTEBOOK}"\npull = "Never"\n'
        for name in ("jupyter", "reduction")
    )
    return (
        '[compute]\nadapter = "kubernetes"\n[compute.kubernetes]\nidentity = "account"\n'
        f'kubeconfig = "{kubeconfig}"\nguard_image = "{PLAIN}"\nguard_pull = "Never"\ngrace_s = 3\n'
        'reachable_from = ["10.88.99.1/32"]\nclosed_networks = ["10.88.99.0/24", "169.254.0.0/16"]\n'
        f'{images}[[compute.kubernetes.volumes]]\nfolder = "/tmp"\nkind = "host_path"\n'
    )


def _clear(cluster: Cluster) -> None:
    """What a failed journey left."""
    cluster.kubectl(
        "-n",
        "parasol",
        "delete",
        "pods,secrets,networkpolicies",
        "-l",
        "app.kubernetes.io/managed-by=parasol",
        *AT_ONCE,
    )
